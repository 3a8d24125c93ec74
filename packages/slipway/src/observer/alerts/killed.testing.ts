/** The observer that a test kills: `node killed.testing.ts FOLDER API_URL`. Says `ready` once it watches. */
import { watchLog } from "./testing.ts";

const [folder, apiUrl] = process.argv.slice(2) as [string, string];
await watchLog({ folder, slack: { botToken: "xoxb-1", channel: "#deploys", apiUrl } });
process.stdout.write("ready\n");
