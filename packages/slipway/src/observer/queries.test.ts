import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { VirtualClock } from "@slipway/base";
import { createQueries, type Queries } from "./queries.ts";

let root: string;
before(async () => {
  root = await mkdtemp(join(tmpdir(), "slipway-queries-"));
  await mkdir(join(root, "queries"));
  await mkdir(join(root, "dashboards"));
});
after(() => rm(root, { recursive: true, force: true }));

const list = (): ReturnType<Queries["list"]> =>
  createQueries({ root, clock: new VirtualClock(), sources: () => [] }).list();

test("what cannot be read is told with its place, and takes nothing else away", async () => {
  await writeFile(join(root, "queries/good.sql"), "-- title: Good\nSELECT 1 AS n");
  await writeFile(join(root, "queries/bad.sql"), "SELECT 1");
  await writeFile(join(root, "queries/.good.sql"), "what an editor leaves");
  await symlink("nowhere", join(root, "queries/link.sql"));
  await writeFile(
    join(root, "dashboards/lost.ts"),
    'export default { title: "Lost", panels: [{ query: "nobody" }] };',
  );
  const { queries, dashboards, problems } = await list();
  assert.ok(queries.some(({ name }) => name === "good"));
  assert.deepEqual(dashboards, []);
  assert.deepEqual(
    problems.map(({ where, message }) => [where, message.split("\n")[0]]),
    [
      ["queries/bad.sql:1", "begins without a head: at least `-- title: …` is needed"],
      ["queries/link.sql", "cannot be read (ENOENT)"],
      ["dashboards/lost.ts", 'panels[0]: there is no query "nobody"'],
    ],
  );
});

test("a dashboard that is changed is shown as it is now", async () => {
  const file = join(root, "dashboards/morning.ts");
  const write = async (title: string, at: number): Promise<void> => {
    await writeFile(file, `export default { title: "${title}", panels: [{ query: "traffic" }] };`);
    await utimes(file, at, at);
  };
  await write("Morning", 1_000);
  assert.equal((await list()).dashboards.find(({ name }) => name === "morning")?.title, "Morning");
  await write("Every morning", 2_000);
  assert.equal((await list()).dashboards.find(({ name }) => name === "morning")?.title, "Every morning");
});
