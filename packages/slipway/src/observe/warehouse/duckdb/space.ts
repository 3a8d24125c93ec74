/** A disk that is full, told before it is: DuckDB gives up its whole instance when its log cannot be written. */
import { statfsSync } from "node:fs";
import { SlipwayError } from "@slipway/base";
import type { Commit } from "../warehouse.ts";

/** Room for the log's next pieces and for a checkpoint to begin. */
export const RESERVE_BYTES = 64_000_000;

/** Longer than any row of the log takes. */
const ROW_BYTES = 200;

export function neededBytes({ lines }: Commit): number {
  const texts = lines.logs.reduce((sum, { text }) => sum + text.length * 2, 0);
  const raw = lines.quarantine.reduce((sum, one) => sum + one.raw.length, 0);
  const paths = lines.access.path.startOf(lines.access.length);
  const rows = lines.access.length + lines.logs.length + lines.quarantine.length;
  return rows * ROW_BYTES + texts + raw + paths;
}

export function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

export function fullError(folder: string, cause?: unknown): SlipwayError {
  return new SlipwayError({
    code: "WAREHOUSE_FULL",
    where: folder,
    message: `the disk is full: ${Math.floor(freeBytes(folder) / 1e6)} MB are free`,
    hint: "Make room, or keep less (`observe.keepFor`, `observe.maxBytes`). Nothing is lost as long as the logs are there.",
    cause,
  });
}

/** DuckDB gives no codes; these words come from the system. */
export function isFullError(error: unknown): boolean {
  return error instanceof Error && /No space left on device|Disk quota exceeded/.test(error.message);
}

/** DuckDB refuses all work of an instance after an error that it cannot undo. */
export function isInvalidated(error: unknown): boolean {
  return error instanceof Error && /database has been invalidated|FATAL Error/.test(error.message);
}

/** The class of the error comes first, but not where rows are appended: there it is left out. */
const OUT_OF_MEMORY =
  /^(?:TransactionContext Error: .*)?Out of Memory Error|^Failed to append: .*(?:failed|could not) (?:to )?allocate/;

export function isOutOfMemory(error: unknown): boolean {
  return error instanceof Error && OUT_OF_MEMORY.test(error.message);
}
