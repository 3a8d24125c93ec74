import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { exposition, type Family } from "./metrics.ts";
import { type MetricsServer, metricsPaths, serveMetrics } from "./serve.ts";

const folder = await mkdtemp(join(tmpdir(), "slipway-metrics-"));
after(() => rm(folder, { recursive: true, force: true }));

const up: Family = { name: "one", type: "gauge", help: "A number.", read: () => [{ value: 7 }] };
const problems: unknown[] = [];
const serve = (name: string, families: readonly Family[] = [up]): Promise<MetricsServer> =>
  serveMetrics({
    folder,
    name,
    read: exposition(families),
    onProblem: (error) => problems.push(error),
  });

async function get(url: string, token?: string, method = "GET"): Promise<Response> {
  return fetch(url, {
    method,
    headers: { connection: "close", ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
  });
}

test("figures are for who has the token, which only the owner can read", async () => {
  const server = await serve("world");
  const { token: path } = metricsPaths(folder, "world");
  const token = await readFile(path, "utf8");
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  const answer = await get(server.url, token);
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  assert.equal(await answer.text(), "# HELP one A number.\n# TYPE one gauge\none 7\n");
  const table = [
    [await get(server.url), 401],
    [await get(server.url, `${token}x`), 401],
    [await get(server.url, token, "POST"), 405],
    [await get(server.url.replace("/metrics", "/"), token), 404],
    [await get(server.url, token, "HEAD"), 200],
  ] as const;
  for (const [{ status }, expected] of table) assert.equal(status, expected);
  server.close();
});

test("the port stays, or is another where somebody has it; the token is the same for all", async () => {
  const first = await serve("observer");
  const other = await serve("observer");
  assert.notEqual(other.port, first.port);
  first.close();
  other.close();
  let { port } = other;
  let again = await serve("observer");
  // Somebody else on this machine may have taken it in this moment; not each time.
  for (let time = 0; time < 3 && again.port !== port; time += 1) {
    port = again.port;
    again.close();
    again = await serve("observer");
  }
  assert.equal(again.port, port);
  assert.equal((await get(again.url, await readFile(metricsPaths(folder, "").token, "utf8"))).status, 200);
  again.close();
});

test("a figure that cannot be read is an error, and not a scrape with a hole", async () => {
  const broken: Family = {
    ...up,
    name: "two",
    read() {
      throw new Error("gone");
    },
  };
  const server = await serve("broken", [up, broken]);
  const token = await readFile(metricsPaths(folder, "").token, "utf8");
  assert.equal((await get(server.url, token)).status, 500);
  assert.match(String(problems.at(-1)), /gone/);
  server.close();
});

test("labels are escaped, and a family is capped", async () => {
  const many: Family = {
    name: "many",
    type: "counter",
    help: "Many.",
    labels: ["name"],
    *read() {
      yield { labels: { name: 'a"b\\c\nd' }, value: 1 };
      for (let index = 0; index < 5000; index += 1) yield { labels: { name: String(index) }, value: 1 };
    },
  };
  const lines = (await exposition([many])()).trim().split("\n");
  assert.equal(lines[2], 'many{name="a\\"b\\\\c\\nd"} 1');
  assert.equal(lines.length, 2 + 2000);
});
