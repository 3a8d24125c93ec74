/**
 * Entry of the world's process. Gets its WorldSpec as JSON on standard input, says `{"ready":true}` or
 * `{"error":…}` once on file descriptor 3, and goes on in the background with its output in `.slipway/world.log`.
 */
import { closeSync, writeSync } from "node:fs";
import { text } from "node:stream/consumers";
import { SlipwayError } from "@slipway/base";
import type { WorldSpec } from "./state.ts";
import { startWorld } from "./world.ts";

const log = (line: string): void => console.log(`${new Date().toISOString()} ${line}`);
const tell = (message: unknown): void => {
  writeSync(3, `${JSON.stringify(message)}\n`);
  closeSync(3);
};

process.on("uncaughtException", (error) => log(`uncaught: ${error.stack ?? error.message}`));
process.on("unhandledRejection", (error) =>
  log(`unhandled: ${error instanceof Error ? error.stack : String(error)}`),
);

try {
  const world = await startWorld(JSON.parse(await text(process.stdin)) as WorldSpec, log);
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => void world.stop());
  process.on("SIGHUP", () => {}); // the terminal it was started from may close
  tell({ ready: true });
  world.observe();
  await world.ended;
  process.exit(0);
} catch (error) {
  log(error instanceof Error ? (error.stack ?? error.message) : String(error));
  tell({
    error:
      error instanceof SlipwayError
        ? { ...error.toJSON(), exitCode: error.exitCode }
        : {
            code: "WORLD_FAILED",
            where: "local world",
            message: error instanceof Error ? error.message : String(error),
          },
  });
  process.exit(1);
}
