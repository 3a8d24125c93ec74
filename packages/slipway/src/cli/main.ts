/** The command line's entry, which bin/start.mjs loads. */
import { commands, groups } from "./commands.ts";
import { runCommandLine } from "./run.ts";

await runCommandLine(commands, groups);
