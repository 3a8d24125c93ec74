import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { warehouseCases } from "../cases.ts";
import { openWarehouse } from "./open.ts";

const folder = mkdtempSync(join(tmpdir(), "slipway-warehouse-"));
after(() => rmSync(folder, { recursive: true, force: true }));

let number = 0;
warehouseCases("DuckDB on disk", () => {
  number += 1;
  return openWarehouse({ folder: join(folder, String(number)) });
});
warehouseCases("DuckDB in memory", () => openWarehouse({ folder: undefined }));
