/**
 * Every page in Debian's Chromium, over the fixture. `UPDATE=1` makes the pictures of the guide anew, from the same pages that are
 * tested here.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { until } from "@slipway/base";
import type { Browser, Locator, Page } from "playwright-core";
import { type Scene, scenes } from "../fixture/story.ts";
import type { QueryAnswerView, SeriesAnswer } from "../src/live/api.ts";
import { moment, open, openBrowser, visit, widths } from "./browser.ts";
import { paleTexts } from "./contrast.ts";
import { small } from "./picture.ts";

const pictures = join(import.meta.dirname, "../../../docs/images/dashboard");
const pages = {
  now: "#/now",
  release: "#/release",
  history: "#/history",
  compare: "#/compare",
  logs: "#/logs",
  queries: "#/queries/slow-routes",
  alerts: "#/alerts",
  cluster: "#/cluster",
} as const;

let browser: Browser;
before(async () => {
  browser = await openBrowser();
});
after(() => browser.close());

/** Until what is shown is so: the page itself decides when. */
async function shows(page: Page, text: string | RegExp): Promise<void> {
  await page.getByText(text).first().waitFor();
}

for (const colours of ["light", "dark"] as const) {
  test(`each page loads without a complaint and can be read, ${colours}`, async () => {
    await using v = await visit(browser, { colours });
    const pale: string[] = [];
    for (const [name, hash] of Object.entries(pages)) {
      await open(v.page, hash);
      v.fixture.tick();
      await settled(v.page);
      pale.push(...(await paleTexts(v.page)).map((text) => `${name}: ${text}`));
      const file = join(pictures, `${name}-${colours}.png`);
      if (process.env["UPDATE"] === "1") {
        await mkdir(pictures, { recursive: true });
        await writeFile(file, small(await v.page.screenshot({ animations: "disabled", caret: "hide" })));
      }
      assert.ok(existsSync(file), `${file} is missing: UPDATE=1 npm run test:browser`);
    }
    assert.deepEqual(pale.slice(0, 20), []);
    assert.deepEqual(v.complaints, []);
  });
}

/** Answers are drawn: nothing is asked for any more. */
async function settled(page: Page): Promise<void> {
  await page.waitForFunction(() => document.querySelector(".waiting") === null);
  await page.evaluate(
    () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))),
  );
}

test("each scene has something to say on each page, and nothing is wider than a phone", async () => {
  for (const scene of scenes) {
    await using v = await visit(browser, { scene, size: "phone" });
    for (const [name, hash] of Object.entries(pages)) {
      await open(v.page, hash);
      v.fixture.tick();
      await settled(v.page);
      const width = await v.page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= widths.phone.width, `${scene}, ${name}: ${width} px wide`);
      assert.equal(await v.page.locator(".problem").count(), 0, `${scene}, ${name}`);
    }
    assert.deepEqual(v.complaints, [], scene);
  }
});

test("the first sentence says whether all is well", async () => {
  const said: Readonly<Record<Scene, RegExp>> = {
    calm: /^All is well\. 2 services in 2 clusters answer/,
    rollout: /^All is well\. .*Release 42 is going out\.$/,
    broken: /^web answers 6\.3.% of requests in tokyo with a 5xx since release 42, for 3.min\.$/,
    empty: /^Nothing has been released yet\.$/,
    away: /^Cluster osaka does not answer: connect ETIMEDOUT/,
  };
  for (const scene of scenes) {
    await using v = await visit(browser, { scene });
    assert.match((await v.page.locator("h1").textContent()) ?? "", said[scene]);
    assert.notEqual(await v.page.locator(".headline > p").textContent(), "");
  }
});

test("the keyboard goes to every page, to the search, through rows, and shows its keys", async () => {
  await using v = await visit(browser, { scene: "calm" });
  const { page } = v;
  const keys = {
    n: "now",
    r: "release",
    h: "history",
    c: "compare",
    l: "logs",
    q: "queries",
    a: "alerts",
    k: "cluster",
  };
  // A prefix is soon forgotten: where the machine was too slow between two keys, both are pressed again.
  const press = (key: string, hash: string): Promise<unknown> =>
    until(hash, async () => {
      await page.keyboard.press("g");
      await page.keyboard.press(key);
      return page.evaluate((wanted) => location.hash === wanted, hash);
    });
  for (const [key, name] of Object.entries(keys)) await press(key, `#/${name}`);
  await press("h", "#/history");
  await page.getByRole("heading", { name: "History" }).waitFor();
  await page.locator("[data-row]").first().waitFor();
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await page.keyboard.press("k");
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), "41");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => location.hash === "#/release/41");
  await press("h", "#/history");
  await page.getByRole("searchbox").waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("bank");
  await shows(page, /checkout: retry once when the bank is busy|No release has/);
  await page.keyboard.press("Escape");
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keys" }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.keyboard.press("t");
  assert.equal(await page.evaluate(() => document.documentElement.dataset["theme"]), "light");
  await page.keyboard.press("t");
  assert.equal(await page.evaluate(() => document.documentElement.dataset["theme"]), "dark");
});

test("what happens is shown without a reload, and a stream that breaks comes back", async () => {
  await using v = await visit(browser, { scene: "calm" });
  const { page, fixture } = v;
  await shows(page, /^All is well/);
  fixture.scene = "broken";
  fixture.tick();
  await shows(page, /^web answers 6\.3/);
  await open(page, "#/release");
  await page.getByRole("heading", { name: /^Release 42/ }).waitFor();
  const failing = page.locator(".wave-cluster .cell-grid .cell.failing");
  await failing.first().waitFor();
  assert.equal(await failing.count(), 3);
  fixture.problem = { path: "/api/events", message: "it is started anew" };
  fixture.drop();
  await page.locator(".pulse.lost").waitFor();
  fixture.problem = undefined;
  await page.locator(".pulse:not(.lost)").waitFor();
  fixture.scene = "calm";
  await open(page, "#/now");
  fixture.tick();
  await shows(page, /^All is well/);
});

test("a clock that is an hour off changes nothing: the server's counts", async () => {
  await using v = await visit(browser, { scene: "broken" });
  const { page, fixture } = v;
  await page.clock.setFixedTime(moment + 3_600_000);
  fixture.tick();
  await page.getByText("by ci, 4").waitFor();
  assert.doesNotMatch((await page.locator("h1").textContent()) ?? "", /old/);
});

test("pods are followed over time, cell by cell", async () => {
  let at = Date.UTC(2026, 2, 2, 14, 0) + 20_000;
  await using v = await visit(browser, { scene: "rollout", now: () => at });
  await v.page.clock.setFixedTime(at);
  const { page, fixture } = v;
  await open(page, "#/release");
  fixture.tick();
  await page.locator(".timeline rect").first().waitFor();
  const ready = (): Promise<number> => page.locator(".cell-grid .cell.new.ready").count();
  const before = await ready();
  at += 30_000;
  await page.clock.setFixedTime(at);
  fixture.tick();
  await page.waitForFunction(
    (least) => document.querySelectorAll(".cell-grid .cell.new.ready").length > least,
    before,
  );
  assert.ok(
    (await page.locator(".timeline rect.cell-starting").count()) > 0,
    "what a pod went through stays to be seen",
  );
});

test("a rollback wants the token again, says what it did not do, and then what it did", async () => {
  await using v = await visit(browser);
  const { page, fixture } = v;
  await page.getByRole("button", { name: "Roll back to release 41" }).click();
  const dialog = page.getByRole("dialog");
  const go = dialog.getByRole("button", { name: "Roll back", exact: true });
  assert.ok(await go.isDisabled(), "not without a token");
  await dialog.getByLabel("The dashboard's token, once more").fill("wrong");
  await go.click();
  await shows(page, /Not started: the token is not the one/);
  await dialog.getByLabel("The dashboard's token, once more").fill(fixture.token);
  await go.click();
  await shows(page, "Release 43 takes the service back to release 41.");
  assert.deepEqual(fixture.posts.findLast(({ path }) => path === "/api/rollback")?.body, {
    release: 42,
    to: 41,
    confirm: fixture.token,
  });
  await page.waitForFunction(() => location.hash === "#/release");
});

test("what cannot be shown says why and goes away by itself, and what was shown stays", async () => {
  await using v = await visit(browser, { scene: "calm" });
  const { page, fixture } = v;
  fixture.problem = { path: "/api/clusters", message: "the warehouse is busy" };
  await page.evaluate(() => {
    location.hash = "#/cluster";
  });
  await shows(page, "Cannot show the clusters: the warehouse is busy");
  fixture.problem = undefined;
  await page.locator(".problem").waitFor({ state: "detached" });
  await shows(page, "tokyo-1");
  fixture.problem = { path: "/api/clusters", message: "the warehouse is busy" };
  fixture.tick();
  await shows(page, "Cannot renew what is shown of the clusters: the warehouse is busy");
  assert.ok(await page.getByText("tokyo-1").first().isVisible());
});

test("the token signs in, is not left in the address, and a reload keeps the session", async () => {
  await using v = await visit(browser, { scene: "calm" });
  const { page, fixture } = v;
  assert.doesNotMatch(page.url(), /token/);
  await page.reload();
  await shows(page, /^All is well/);
  await page.context().clearCookies();
  await page.reload();
  await page.getByLabel("Token").fill("wrong");
  await page.getByRole("button", { name: "Sign in" }).click();
  await shows(page, /the token is not the one of this dashboard/);
  await page.getByLabel("Token").fill(fixture.token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await shows(page, /^All is well/);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Token").waitFor();
  await page.reload();
  await page.getByLabel("Token").waitFor();
});

test("a session that has ended leads back to the token, and from there to where one was", async () => {
  await using v = await visit(browser, { scene: "calm" });
  const { page, fixture } = v;
  await open(page, "#/history");
  await page.context().clearCookies();
  fixture.drop();
  await page.getByLabel("Token").fill(fixture.token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "History" }).waitFor();
});

test("logs are searched, narrowed down and followed", async () => {
  let at = moment;
  await using v = await visit(browser, { now: () => at });
  const { page, fixture } = v;
  await page.clock.setFixedTime(at);
  await open(page, "#/logs");
  await page.getByRole("searchbox").fill("payment_url");
  await page.keyboard.press("Enter");
  await page.locator("mark").first().waitFor();
  assert.deepEqual([...new Set(await page.locator(".line mark").allTextContents())], ["PAYMENT_URL"]);
  const lines = page.locator(".line");
  const found = await lines.count();
  await page.locator(".facet").filter({ hasText: "cluster" }).getByRole("button").first().click();
  await page.waitForFunction(() => location.hash.includes("cluster=tokyo"));
  await page.getByRole("button", { name: "Take all away" }).click();
  await page.locator("mark").first().waitFor({ state: "detached" });
  await until("all lines", async () => (await lines.count()) > found);
  const last = (): Promise<string | null> => lines.last().textContent();
  const before = await last();
  // The tail is opened anew for the new question; events are not kept for who is not there yet.
  await page.waitForFunction(() => document.querySelector(".toggle")?.textContent === "Following");
  await until("a line more", async () => {
    at += 1_000;
    fixture.tick();
    return (await last()) !== before;
  });
  await lines.last().getByRole("button").click();
  await shows(page, "only this");
  // A line that is open goes with its page.
  await open(page, "#/queries");
  await page.getByRole("textbox", { name: "SQL: one SELECT" }).waitFor();
  assert.deepEqual(v.complaints, []);
});

test("a query is completed, run, drawn, saved as a file, and refused when it would write", async () => {
  await using v = await visit(browser);
  const { page, fixture } = v;
  await open(page, "#/queries");
  const editor = page.getByRole("textbox", { name: "SQL: one SELECT" });
  await editor.fill("");
  await editor.pressSequentially("select rou");
  await page.getByRole("option", { name: /^route/ }).waitFor();
  await page.keyboard.press("Tab");
  await editor.pressSequentially(", 1 as minute from requ");
  await page.keyboard.press("Enter");
  assert.equal(await editor.inputValue(), "select route, 1 as minute from requests");
  await page.keyboard.press("Control+Enter");
  await shows(page, "60 rows in 14 ms");
  await page.getByLabel("Picture").selectOption("line");
  await page.getByRole("img", { name: /requests: now 4.\d+.*Releases: 42 at 13:59/ }).waitFor();
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "CSV" }).click(),
  ]);
  assert.match(await readFile((await download.path()) as string, "utf8"), /^minute,requests,errors\r\n\d+,/);
  await page.getByRole("button", { name: "Save as a file" }).click();
  await page.getByLabel("Name of the file").fill("by-minute");
  await page.getByLabel(/^Schedule/).fill("0 9 * * 1");
  await page.getByLabel(/^The dashboard's token/).fill(fixture.token);
  await page.getByRole("button", { name: "Save queries/by-minute.sql" }).click();
  await shows(page, /Saved as queries\/by-minute\.sql/);
  assert.deepEqual(fixture.posts.findLast(({ path }) => path === "/api/queries/save")?.body, {
    name: "by-minute",
    title: "by-minute",
    sql: "select route, 1 as minute from requests",
    chart: { kind: "line", x: "minute", y: ["requests"] },
    schedule: "0 9 * * 1",
    confirm: fixture.token,
  });
  await open(page, "#/queries");
  await editor.fill("drop table requests");
  await page.keyboard.press("Control+Enter");
  await shows(page, "only one SELECT can be run here");
});

test("an alert is muted for a while, with a reason", async () => {
  await using v = await visit(browser);
  const { page, fixture } = v;
  await open(page, "#/alerts");
  await page.locator(".incident").first().getByRole("button", { name: "Mute" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "8 h" }).click();
  await dialog.getByLabel(/^Why/).fill("the fix is on its way");
  await dialog.getByLabel(/^The dashboard's token/).fill(fixture.token);
  await dialog.getByRole("button", { name: "Mute", exact: true }).click();
  await shows(page, /^Muted for 8.h\.$/);
  assert.deepEqual(fixture.posts.findLast(({ path }) => path === "/api/alerts/mute")?.body, {
    id: "i-22",
    forMs: 8 * 3_600_000,
    reason: "the fix is on its way",
    confirm: fixture.token,
  });
  await page.getByRole("button", { name: "Unmute" }).first().click();
  await dialog.getByLabel(/^The dashboard's token/).fill(fixture.token);
  await dialog.getByRole("button", { name: "Unmute", exact: true }).click();
  await shows(page, "It is heard again.");
});

test("a span of a chart is looked at closer, and left again", async () => {
  await using v = await visit(browser, { scene: "calm" });
  const { page } = v;
  await page.locator(".u-over").first().waitFor();
  await settled(page);
  const box = await page.locator(".u-over").first().boundingBox();
  assert.ok(box !== null);
  await page.mouse.move(box.x + box.width * 0.3, box.y + 40);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, box.y + 40, { steps: 4 });
  await page.mouse.up();
  await page.getByRole("button", { name: "Back to live" }).click();
  await page.getByRole("button", { name: "Back to live" }).waitFor({ state: "detached" });
  await page.getByRole("button", { name: "6 h" }).click();
  await page.waitForFunction(() => location.hash.includes("range=6h"));
});

interface Inked {
  /** Of the colour of the line. */
  readonly pixels: number;
  /** Where they are: 0 at the left, 1 at the right. */
  readonly middle: number;
}

/** What is seen on the chart's canvas of each of its lines, by label. */
function inked(chart: Locator): Promise<Record<string, Inked>> {
  return chart.evaluate((figure) => {
    const canvas = figure.querySelector("canvas") as HTMLCanvasElement;
    const context = canvas.getContext("2d") as CanvasRenderingContext2D;
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    const found: Record<string, { pixels: number; middle: number }> = {};
    for (const swatch of figure.querySelectorAll(".swatch")) {
      const wanted = getComputedStyle(swatch).backgroundColor.match(/\d+/g)?.map(Number) as number[];
      let [pixels, columns] = [0, 0];
      for (let at = 0; at < data.length; at += 4) {
        if (wanted.slice(0, 3).some((part, index) => Math.abs(part - (data[at + index] as number)) > 2))
          continue;
        pixels += 1;
        columns += (at / 4) % canvas.width;
      }
      found[swatch.parentElement?.firstChild?.nextSibling?.textContent?.trim() ?? ""] = {
        pixels,
        middle: columns / pixels / canvas.width,
      };
    }
    return found;
  });
}

test("a value that stands alone is a dot, also when it is the only one", async () => {
  await using v = await visit(browser, { scene: "calm" });
  const { page } = v;
  await page.route("**/api/series?*", async (route) => {
    const response = await route.fetch();
    const series = (await response.json()) as SeriesAnswer;
    const only = Math.floor(series.times.length / 2);
    const keep = (values: readonly (number | null)[]) =>
      values.map((value, at) => (at === only ? value : null));
    await route.fulfill({
      response,
      json: { ...series, p50: keep(series.p50), p95: keep(series.p95), p99: keep(series.p99) },
    });
  });
  await page.reload();
  const times = page.locator("figure.chart", { hasText: "Response time" });
  await times.locator("canvas").waitFor();
  await settled(page);
  for (const [line, { pixels }] of Object.entries(await inked(times)))
    assert.ok(pixels >= 8, `${line}: ${pixels} pixels`);

  await page.route("**/api/queries/run", async (route) => {
    const response = await route.fetch();
    const answer = (await response.json()) as QueryAnswerView;
    await route.fulfill({ response, json: { ...answer, rows: answer.rows.slice(3, 4) } });
  });
  await open(page, "#/queries/requests-by-minute");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  const result = page.locator(".result figure.chart");
  await result.locator("canvas").waitFor();
  await settled(page);
  for (const [line, dot] of Object.entries(await inked(result))) {
    assert.ok(dot.pixels >= 8, `${line}: ${dot.pixels} pixels`);
    assert.ok(dot.middle > 0.45 && dot.middle < 0.6, `${line}: in the middle of its minute, not of years`);
  }
  assert.deepEqual(v.complaints, []);
});
