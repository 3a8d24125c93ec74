/** What `slipway logs import` asks of whoever has the warehouse open. */
import type { Clock } from "@slipway/base";
import type { ObserveConfig } from "../config/observe.ts";
import { NAMED_FORMATS } from "../observe/access/format.ts";
import { type ImportedFile, importFiles } from "../observe/import/import.ts";
import type { DuckWarehouse } from "../observe/warehouse/duckdb/duckdb.ts";

export interface ImportFiles {
  /** Absolute. */
  readonly files: readonly string[];
  readonly service: string;
  readonly cluster: string;
  readonly release: number;
  /** nginx's log_format, or the name of one that is known. */
  readonly format: string | undefined;
}

export async function importInto(
  warehouse: DuckWarehouse,
  observe: Pick<ObserveConfig, "redact" | "truncateIp"> | undefined,
  { files, service, cluster, release, format }: ImportFiles,
  { clock, signal }: { readonly clock: Clock; readonly signal?: AbortSignal },
  onFile: (imported: ImportedFile) => void = () => undefined,
): Promise<readonly ImportedFile[]> {
  const imported: ImportedFile[] = [];
  await importFiles(
    files,
    {
      warehouse,
      service,
      cluster,
      release,
      ...(format === undefined ? {} : { format: NAMED_FORMATS[format] ?? format }),
      ...(observe === undefined ? {} : { redact: observe.redact, truncateIp: observe.truncateIp }),
      now: () => clock.now(),
      ...(signal === undefined ? {} : { signal }),
    },
    (one) => {
      imported.push(one);
      onFile(one);
    },
  );
  return imported;
}
