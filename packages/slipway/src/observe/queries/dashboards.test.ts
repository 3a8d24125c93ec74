import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { loadDashboards } from "./dashboards.ts";
import { loadQueries } from "./load.ts";

let root: string;
before(async () => {
  root = await mkdtemp(join(tmpdir(), "slipway-dashboards-"));
  await mkdir(join(root, "dashboards"));
  await mkdir(join(root, "queries"));
});
after(() => rm(root, { recursive: true, force: true }));

const file = (name: string, text: string): Promise<void> => writeFile(join(root, name), text);

test("what works is there, and what does not is told with its place", async () => {
  await file("queries/mine.sql", "-- title: Mine\nSELECT 1 AS one");
  await file("queries/traffic.sql", "-- title: Our own traffic\nSELECT 2 AS two");
  await file("queries/broken.sql", "SELECT 1");
  await file(
    "dashboards/good.ts",
    'import { defineDashboard } from "slipway";\nexport default defineDashboard({ title: "Good", panels: [{ query: "mine" }, { query: "response-times", title: "Fast?", parameters: { from: "-24h" } }] });\n',
  );
  await file("dashboards/unknown.ts", 'export default { title: "x", panels: [{ query: "nope" }] };\n');
  await file(
    "dashboards/parameter.ts",
    'export default { title: "x", panels: [{ query: "response-times", parameters: { form: "-1h" } }] };\n',
  );
  await file("dashboards/throws.ts", 'throw new Error("on import");\n');
  await file("dashboards/empty.ts", "export {};\n");
  const library = await loadQueries(root);
  assert.equal(library.queries.find(({ name }) => name === "traffic")?.title, "Our own traffic");
  assert.deepEqual(
    library.problems.map(({ where }) => where),
    ["queries/broken.sql:1"],
  );
  const { dashboards, problems } = await loadDashboards(root, library);
  assert.deepEqual(
    dashboards.map(({ name, panels }) => [name, panels.map(({ title }) => title)]),
    [["good", ["Mine", "Fast?"]]],
  );
  assert.deepEqual(problems.map(({ where }) => where).sort(), [
    "dashboards/empty.ts",
    "dashboards/parameter.ts",
    "dashboards/throws.ts",
    "dashboards/unknown.ts",
  ]);
});
