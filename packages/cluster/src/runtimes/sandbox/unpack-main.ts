/** The process that runs one job of `unpack.ts`. */
import { readFileSync } from "node:fs";
import { type FlattenJob, flatten, type UnpackJob, unpack, whiteoutsFile } from "./unpack.ts";

process.umask(0o022); // the folders of an image are for all of its users, whatever whoever unpacks it keeps to itself
const job = JSON.parse(process.argv[2] as string) as UnpackJob | FlattenJob;
try {
  if (job.do === "unpack") await unpack(job);
  else flatten(job, JSON.parse(readFileSync(whiteoutsFile(job.directory, job.layer), "utf8")));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
