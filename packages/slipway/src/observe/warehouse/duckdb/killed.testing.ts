/**
 * The process that is killed: stores a log file, by commits as they come live or as an import, and seals what it has on
 * the way. Prints a line when it begins, and `done` when everything is stored.
 *
 *   killed.testing.ts FOLDER FILE commits|import
 */
import { openSync, readSync } from "node:fs";
import { ParseContext } from "../../access/context.ts";
import { clearLineBatch, hasNoRoom, LineParser, newLineBatch } from "../../access/parser.ts";
import { importFiles } from "../../import/import.ts";
import { sampleLabels } from "../sample.ts";
import { openDuckWarehouse } from "./open.ts";

const [folder = "", file = "", how = ""] = process.argv.slice(2);
/** The clock of the sealing: late enough that each call seals what is there. */
let now = Date.UTC(2026, 1, 1);
const HOURS_21 = 21 * 3_600_000;

const warehouse = await openDuckWarehouse({ folder, keepForMs: 1e13 });
console.log("begun");

async function tidy(): Promise<void> {
  now = Math.max(now, Date.UTC(2026, 1, 1) + warehouse.figures().committed * HOURS_21);
  await warehouse.tidy(now);
}

async function byCommits(): Promise<void> {
  const { dictionaries } = warehouse;
  const context = new ParseContext({
    dictionaries,
    sourceOf: (labels) => warehouse.sourceOf(labels),
    now: () => now,
  });
  const stored = warehouse.offsetOf("file");
  const parser = new LineParser({ key: "file", labels: sampleLabels(), framing: "plain" }, context, stored);
  const batch = newLineBatch(3000);
  let commits = 0;
  const commit = async (): Promise<void> => {
    await warehouse.commit({ lines: batch, offsets: parser.offsets() });
    clearLineBatch(batch);
    commits += 1;
    if (commits % 5 === 0) await tidy();
  };
  const handle = openSync(file, "r");
  const chunk = Buffer.alloc(65_536);
  for (let from = stored; ; ) {
    const length = readSync(handle, chunk, 0, chunk.length, from);
    if (length === 0) break;
    for (let at = 0; at < length; ) {
      at += parser.feed(chunk.subarray(at, length), batch);
      if (hasNoRoom(batch)) await commit();
    }
    from += length;
  }
  await commit();
}

if (how === "commits") await byCommits();
else {
  await importFiles([file], { warehouse, service: "web", now: () => now, partRows: 12_000 });
  await tidy();
}
await warehouse.close();
console.log("done");
