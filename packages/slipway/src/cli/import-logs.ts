/**
 * Who imports: the observer of the running world, which has the warehouse open; without one, this process, as long as
 * it takes.
 */
import { resolve } from "node:path";
import { SlipwayError } from "@slipway/base";
import type { ImportedFile } from "../observe/import/import.ts";
import type { ImportFiles } from "../observer/import-files.ts";
import { callWorld } from "../world/control.ts";
import type { CliContext } from "./command.ts";
import { observerBeside } from "./local/observer.ts";
import type { Project } from "./project.ts";

export interface ImportLogsOptions extends Omit<ImportFiles, "files"> {
  readonly files: readonly string[];
  readonly onFile: (imported: ImportedFile) => void;
}

/** A file of any size is one call. */
const PATIENT_MS = 24 * 3_600_000;

export async function importLogs(
  context: CliContext,
  { config, paths }: Project,
  options: ImportLogsOptions,
): Promise<void> {
  const { onFile, ...what } = options;
  if (!Number.isInteger(what.release) || what.release < 0) {
    throw new SlipwayError({
      code: "USAGE_RELEASE",
      where: "--release",
      message: "should be the number of a release",
      exitCode: 2,
    });
  }
  const files = options.files.map((file) => resolve(context.cwd, file));
  const control = (await observerBeside(paths, context))?.control;
  if (control !== undefined) {
    for (const file of files) {
      const [imported] = await callWorld<ImportedFile[]>(
        { control },
        "import",
        { ...what, files: [file] },
        PATIENT_MS,
      );
      if (imported !== undefined) onFile(imported);
    }
    return;
  }
  const { openDuckWarehouse } = await import("../observe/warehouse/duckdb/open.ts");
  const { importInto } = await import("../observer/import-files.ts");
  const { THREADS_BESIDE_PARSER } = await import("../observe/import/import.ts");
  const { observe } = config;
  const warehouse = await openDuckWarehouse({
    folder: paths.observe,
    clock: context.clock,
    threads: THREADS_BESIDE_PARSER,
  });
  try {
    await importInto(warehouse, observe, { ...what, files }, context, onFile);
  } finally {
    await warehouse.close();
  }
}

export function importedText({
  file,
  lines,
  requests,
  logs,
  quarantine,
  skippedBytes,
  format,
}: ImportedFile): string {
  const parts = [
    `${count(requests)} requests${format === undefined ? "" : ` (${format})`}`,
    ...(logs > 0 ? [`${count(logs)} log lines`] : []),
    ...(quarantine > 0 ? [`${count(quarantine)} unreadable lines, kept in quarantine`] : []),
  ];
  const before = skippedBytes > 0 ? `; ${count(skippedBytes)} bytes were imported before` : "";
  return `${file}: ${lines === 0 ? "nothing new" : parts.join(", ")}${before}`;
}

function count(value: number): string {
  return value.toLocaleString("en");
}
