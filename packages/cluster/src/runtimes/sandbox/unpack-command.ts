/** The program that runs one job of `unpack.ts`, as words for a process of its own. */
import { fileURLToPath } from "node:url";
import type { FlattenJob, UnpackJob } from "./unpack.ts";

export type { FlattenJob, UnpackJob } from "./unpack.ts";

export function unpackCommand(job: UnpackJob | FlattenJob): readonly string[] {
  const program = fileURLToPath(new URL(import.meta.url.replace(/unpack-command(\.\w+)$/, "unpack-main$1")));
  return [process.execPath, program, JSON.stringify(job)];
}
