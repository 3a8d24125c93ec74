/** The same pages over a real local world: what the fixture plays is what the server says. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "@slipway/base";
import type { Browser, Page } from "playwright-core";
import { commitRelease, jsonLines, type Project, smallShop } from "../../../stories/testing.ts";
import { open, openBrowser } from "./browser.ts";

let project: Project;
let browser: Browser;
let page: Page;
let link: string;
const complaints: string[] = [];
before(async () => {
  project = await smallShop();
  await project.ok("ship");
  await until("the dashboard", async () => (await project.world()).observer?.url);
  link = (jsonLines(await project.ok("dashboard", "--json")) as [{ link: string }])[0].link;
  browser = await openBrowser();
  page = await (await browser.newContext({ viewport: { width: 1280, height: 860 } })).newPage();
  page.setDefaultTimeout(90_000); // a world, a build and a release are beside it on the same machine
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
});
after(async () => {
  await browser?.close();
  await project?.remove();
});

async function send(count: number): Promise<void> {
  for (let sent = 0; sent < count; sent += 1) await project.get("/");
}

test("the link signs in, and the first sentence is about what runs", async () => {
  await send(20);
  await page.goto(link);
  await page.locator(".headline.good h1").waitFor();
  await page.locator("tbody th", { hasText: "web" }).waitFor();
  assert.match(
    (await page.locator(".headline h1").textContent()) ?? "",
    /^All is well\. 1 service in 2 clusters/,
  );
});

test("a release is followed while it goes out, pod by pod", async () => {
  await commitRelease(project, "v2");
  await open(page, "#/release");
  await page.getByRole("heading", { name: /^Release 1/ }).waitFor();
  const shipped = project.ok("ship");
  await page.getByRole("heading", { name: /^Release 2/ }).waitFor();
  await page.locator(".cell.new.ready").first().waitFor();
  await shipped;
  await page.getByRole("heading", { name: /^Release 2 .*healthy/ }).waitFor();
  assert.ok((await page.locator(".timeline rect").count()) > 0);
});

test("every page shows what there is, without a complaint", async () => {
  await send(20);
  const wanted = {
    "#/history": page.locator("tbody tr").nth(1),
    "#/compare": page.locator(".verdict"),
    "#/logs": page.locator(".line").first(),
    "#/queries": page.getByRole("textbox", { name: "SQL: one SELECT" }),
    "#/alerts": page.getByRole("heading", { name: "Rules" }),
    "#/cluster": page.locator("section.cluster").nth(1),
    "#/now": page.locator(".u-over").first(),
  };
  for (const [hash, shown] of Object.entries(wanted)) {
    await open(page, hash);
    await shown.waitFor();
    assert.equal(await page.locator(".problem").count(), 0, hash);
  }
  assert.deepEqual(complaints, []);
});

test("a query is answered, and a line comes while the log is followed", async () => {
  await open(page, "#/queries");
  await page
    .getByRole("textbox", { name: "SQL: one SELECT" })
    .fill("select release, count(*) as n from requests group by release");
  await page.keyboard.press("Control+Enter");
  await page.getByText(/^\d+ rows? in/).waitFor();
  const editor = page.getByRole("textbox", { name: "SQL: one SELECT" });
  await editor.fill("");
  await editor.pressSequentially("select * from req");
  await page.getByRole("option", { name: /^requests/ }).waitFor();
  // One of those that every project has.
  await page.getByRole("link", { name: "Response times by minute" }).click();
  await page.locator(".result .uplot canvas").waitFor();
  await open(page, "#/logs");
  await page.locator(".line").first().waitFor();
  const before = await page.locator(".line").count();
  await until("a line more", async () => {
    await project.get("/");
    return (await page.locator(".line").count()) > before;
  });
});

test("it is taken back from the page, with the token", async () => {
  const token = decodeURIComponent(new URL(link).hash.replace("#token=", ""));
  await open(page, "#/release");
  await page.getByRole("button", { name: "Roll back to release 1" }).click();
  await page.getByLabel("The dashboard's token, once more").fill(token);
  await page.getByRole("dialog").getByRole("button", { name: "Roll back", exact: true }).click();
  await page.getByRole("heading", { name: /^Release 3 .*healthy/ }).waitFor();
  assert.deepEqual(complaints, []);
});
