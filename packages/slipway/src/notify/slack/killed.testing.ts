/** The process that the tests kill while it sends: `node killed.testing.ts FOLDER API_URL [incident]`. */
import { systemClock, until } from "@slipway/base";
import type { Subject } from "../message.ts";
import { createOutbox } from "../outbox/outbox.ts";
import { createFileStore } from "../outbox/store.ts";
import { createSlackBot } from "./bot.ts";

const [folder, apiUrl, what] = process.argv.slice(2) as [string, string, string | undefined];
const release = { service: "shop", environment: "production", number: 7 };
const outbox = createOutbox({
  transport: createSlackBot({
    token: "xoxb-1",
    channel: "#deploys",
    apiUrl,
    clock: systemClock,
    attemptMs: 60_000,
  }),
  store: createFileStore({
    folder,
    self: { host: "laptop", pid: process.pid, startTicks: "1" },
    isAlive: () => true,
    now: () => systemClock.now(),
  }),
  clock: systemClock,
  onWarning: (message) => process.stderr.write(`${message}\n`),
});
/** So that what is told next is an edit, however long it takes to come this far. */
const isUnderWay = (about: Subject): Promise<unknown> =>
  until("the first to be sent", async () => {
    const message = (await outbox.known(about))?.message;
    return message?.sending !== undefined || message?.shown !== undefined;
  });
if (what === "incident") {
  const about = { service: "shop", environment: "production", incident: "3fe91c" };
  const firing = {
    kind: "incident",
    state: "firing",
    severity: "page",
    title: "web: 98 % of requests fail (5xx)",
    since: undefined,
    facts: [],
    samples: [],
    link: undefined,
    command: undefined,
  } as const;
  outbox.show(about, firing);
  await isUnderWay(about);
  outbox.show(about, { ...firing, state: "resolved" });
} else {
  outbox.show(release, {
    state: "running",
    title: "shop: release 7",
    cause: undefined,
    facts: [],
    clusters: [],
  });
  await isUnderWay(release);
  outbox.show(release, {
    state: "rolled-back",
    title: "shop: release 7 failed and was rolled back",
    cause: "tokyo: crashed twice: exit code 1 (ContainerCrash)",
    facts: [],
    clusters: [],
  });
}
await outbox.settle(60_000);
