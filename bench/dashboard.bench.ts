/**
 * The dashboard in Debian's Chromium: how soon the first page says how things are, how large it is, and whether it holds more
 * memory after an evening than after a minute. Three tabs (Now, Release, Logs) over the fixture server, a release of 60 pods that
 * goes out again and again, an event each second.
 *
 *   node bench/dashboard.bench.ts [MINUTES] [SPEED]     default 10 1; SPEED makes time go faster: `0.33 20` is the short form
 *
 * Writes results/dashboard.md after a run of ten minutes; exits 4 when a goal is missed.
 */
import { globSync, readFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Browser, CDPSession, Page } from "playwright-core";
import { until, writeAtomic } from "../packages/base/src/index.ts";
import { open, openBrowser, visit } from "../packages/dashboard/browser/browser.ts";
import { builtPages } from "../packages/dashboard/build/pages.ts";
import { startFixture } from "../packages/dashboard/fixture/server.ts";
import { jsonLines, smallShop } from "../stories/testing.ts";
import { MISSED_GOAL } from "./machine.ts";

const minutes = Number(process.argv[2] ?? 10);
const speed = Number(process.argv[3] ?? 1);
const goals = { paintMs: 1_000, bytes: 250_000, growth: 0.05 };
/** Below this, a difference is what the engine itself does: code that is compiled, caches that fill. */
const slackBytes = 1_500_000;

const browser = await openBrowser();
const size = bundleBytes(await builtPages());
const isWhole = minutes >= 10 && speed === 1;
const fixture = await startFixture({ pages: await builtPages(), scene: "broken", now: Date.now });
const paints = await firstPaints(browser, `${fixture.url}/#token=${fixture.token}`, 7);
await fixture.stop();
const worldPaints = isWhole ? await overLocalWorld(browser) : [];
const tabs = await memory(browser);
await browser.close();

const median = (sorted: readonly number[]): number => sorted[Math.floor(sorted.length / 2)] as number;
const paint = isWhole ? median(worldPaints) : median(paints);
const painted = (sorted: readonly number[]): string =>
  sorted.length === 0
    ? "not measured"
    : `${median(sorted).toFixed(0)} ms (${(sorted.at(-1) as number).toFixed(0)} ms)`;
const grown = tabs.filter(({ first, last }) => last > first * (1 + goals.growth) + slackBytes);
const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
const text = `# Dashboard

\`node bench/dashboard.bench.ts\` on ${cpus().length} x ${cpus()[0]?.model.trim()}, Node ${process.versions.node}, Chromium ${browser.version()}.

| | measured | goal |
|---|---|---|
| first page says how things are, over a local world, nothing cached: median of 7 (slowest) | ${painted(worldPaints)} | ≤ ${goals.paintMs} ms |
| the same over the fixture | ${painted(paints)} | |
| size, gzipped | ${(size / 1e3).toFixed(0)} kB | ≤ ${goals.bytes / 1e3} kB |

Memory of three tabs while 60 pods come and go, one event a second, ${minutes} min, after a forced collection (goal: no growth):

| tab | after a tenth | at the end | DOM nodes |
|---|---|---|---|
${tabs.map(({ name, first, last, nodes }) => `| ${name} | ${mb(first)} | ${mb(last)} | ${nodes[0]} → ${nodes[1]} |`).join("\n")}
`;
console.log(text);
if (isWhole) await writeAtomic(join(import.meta.dirname, "results/dashboard.md"), text);
if (paint > goals.paintMs || size > goals.bytes || grown.length > 0) process.exitCode = MISSED_GOAL;

function bundleBytes(folder: string): number {
  return globSync("**/*.{html,js,css,svg}", { cwd: folder })
    .map((file) => gzipSync(readFileSync(join(folder, file)), { level: 9 }).length)
    .reduce((sum, bytes) => sum + bytes, 0);
}

/** From the request of the page until the sentence stands there, sorted. Each in a browser profile that knows nothing yet. */
async function firstPaints(browser: Browser, link: string, times: number): Promise<number[]> {
  const found: number[] = [];
  for (let time = 0; time < times; time += 1) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 860 } });
    const page = await context.newPage();
    await page.addInitScript(() => {
      const seen = new MutationObserver(() => {
        if (document.querySelector(".headline h1") === null) return;
        seen.disconnect();
        // After the frame that shows it.
        requestAnimationFrame(() =>
          setTimeout(() => {
            document.documentElement.dataset["seenAt"] = String(performance.now());
          }),
        );
      });
      seen.observe(document, { childList: true, subtree: true });
    });
    await page.goto(link);
    await page.waitForFunction(() => document.documentElement.dataset["seenAt"] !== undefined);
    found.push(Number(await page.evaluate(() => document.documentElement.dataset["seenAt"])));
    await context.close();
  }
  return found.sort((a, b) => a - b);
}

async function overLocalWorld(browser: Browser): Promise<number[]> {
  const project = await smallShop();
  try {
    await project.ok("ship");
    await until("the dashboard", async () => (await project.world()).observer?.url);
    const [{ link }] = jsonLines(await project.ok("dashboard", "--json")) as [{ link: string }];
    return await firstPaints(browser, link, 7);
  } finally {
    await project.remove();
  }
}

interface Tab {
  readonly name: string;
  readonly first: number;
  readonly last: number;
  readonly nodes: readonly [number, number];
}

async function memory(browser: Browser): Promise<Tab[]> {
  const began = Date.now();
  const now = (): number => began + (Date.now() - began) * speed;
  await using v = await visit(browser, { scene: "rollout", now, tickMs: 1_000 / speed });
  const context = v.page.context();
  await context.addInitScript(
    ([began, speed]) => {
      const real = Date.now.bind(Date);
      Date.now = () => (began as number) + (real() - (began as number)) * (speed as number);
    },
    [began, speed],
  );
  const pages = new Map<string, Page>();
  for (const name of ["now", "release", "logs"]) {
    const page = await context.newPage();
    await page.goto(v.fixture.url);
    await open(page, `#/${name}`);
    pages.set(name, page);
  }
  await v.page.close();
  const sessions = new Map<string, CDPSession>();
  for (const [name, page] of pages) sessions.set(name, await context.newCDPSession(page));
  const wait = (share: number): Promise<void> =>
    new Promise((resolve) => setTimeout(resolve, minutes * 60_000 * share));
  await wait(0.1);
  const first = await heaps(sessions);
  for (let part = 2; part < 10; part += 1) {
    await wait(0.1);
    if (speed === 1)
      console.error(`${part} of 10:`, JSON.stringify(Object.fromEntries(await heaps(sessions))));
  }
  await wait(0.1);
  const last = await heaps(sessions);
  return [...pages.keys()].map((name) => {
    const [a, b] = [first.get(name), last.get(name)] as [Heap, Heap];
    return { name, first: a.bytes, last: b.bytes, nodes: [a.nodes, b.nodes] as const };
  });
}

interface Heap {
  readonly bytes: number;
  readonly nodes: number;
}

/** After two collections: the first one finds what the second one can free. */
async function heaps(sessions: ReadonlyMap<string, CDPSession>): Promise<Map<string, Heap>> {
  const found = new Map<string, Heap>();
  for (const [name, session] of sessions) {
    await session.send("HeapProfiler.collectGarbage");
    await session.send("HeapProfiler.collectGarbage");
    const { usedSize } = await session.send("Runtime.getHeapUsage");
    const { nodes } = await session.send("Memory.getDOMCounters");
    found.set(name, { bytes: usedSize, nodes });
  }
  return found;
}
