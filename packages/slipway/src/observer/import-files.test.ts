import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { systemClock } from "@slipway/base";
import type { ImportedFile } from "../observe/import/import.ts";
import { hasCode } from "../observe/warehouse/cases.ts";
import { openDuckWarehouse } from "../observe/warehouse/duckdb/open.ts";
import { callWorld, serveControl } from "../world/control.ts";
import { type ImportFiles, importInto } from "./import-files.ts";

const folder = mkdtempSync(join(tmpdir(), "slipway-import-files-"));
after(() => rmSync(folder, { recursive: true, force: true }));

test("the command asks the observer, which has the warehouse; two at once wait for each other", async () => {
  const warehouse = await openDuckWarehouse({ folder: undefined });
  const observe = { redact: ["session"], truncateIp: true };
  const control = await serveControl(
    { import: (what) => importInto(warehouse, observe, what as ImportFiles, { clock: systemClock }) },
    "token",
  );
  const ask = (files: readonly string[]): Promise<readonly ImportedFile[]> =>
    callWorld({ control: { url: control.url, token: "token" } }, "import", {
      files,
      service: "web",
      cluster: "osaka",
      release: 4,
      format: "combined",
    });
  const write = (name: string): string => {
    const line = `203.0.113.7 - - [05/Jan/2026:12:00:00 +0000] "GET /${name}?session=s3cret HTTP/1.1" 200 5 "-" "a"\n`;
    writeFileSync(join(folder, name), line.repeat(300));
    return join(folder, name);
  };
  try {
    const imported = await Promise.all([ask([write("a.log")]), ask([write("b.log")])]);
    assert.deepEqual(
      imported.map(([one]) => one?.requests),
      [300, 300],
    );
    const { rows } = await warehouse.query(
      "SELECT DISTINCT ip, release, cluster, path LIKE '%s3cret%' FROM access",
    );
    assert.deepEqual(rows, [["203.0.113.0", 4, "osaka", false]]);
    await assert.rejects(ask([join(folder, "none.log")]), hasCode("IMPORT_FILE"));
    assert.deepEqual((await ask([join(folder, "a.log")]))[0]?.lines, 0);
  } finally {
    control.close();
    await warehouse.close();
  }
});
