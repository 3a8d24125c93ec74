/** Debian's Chromium over the fixture server, as the browser lane uses it: signed in, with a fixed clock, and a record of complaints. */
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { builtPages } from "../build/pages.ts";
import { type Fixture, startFixture } from "../fixture/server.ts";
import type { Scene } from "../fixture/story.ts";

/** A Monday afternoon: the moment of every picture. */
export const moment = Date.UTC(2026, 2, 2, 14, 3, 20);
export const widths = { desk: { width: 1280, height: 860 }, phone: { width: 390, height: 844 } } as const;

export interface Visit {
  readonly page: Page;
  readonly fixture: Fixture;
  /** What the console said, and what the content security policy refused. */
  readonly complaints: string[];
  [Symbol.asyncDispose](): Promise<void>;
}

export function openBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env["SLIPWAY_CHROMIUM"] ?? "/usr/bin/chromium",
    // Tests run as root in containers, where Chromium's own sandbox has no namespaces to make.
    args: ["--no-sandbox", "--font-render-hinting=none", "--disable-lcd-text"],
  });
}

export interface VisitOptions {
  readonly scene?: Scene;
  readonly size?: keyof typeof widths;
  readonly colours?: "light" | "dark";
  readonly now?: () => number;
  readonly tickMs?: number;
}

/** A page that is signed in by the link that carries the token. */
export async function visit(browser: Browser, options: VisitOptions = {}): Promise<Visit> {
  const { scene = "broken", size = "desk", colours = "light", now = () => moment, tickMs } = options;
  const fixture = await startFixture({ pages: await builtPages(), scene, now, tickMs });
  const context: BrowserContext = await browser.newContext({
    viewport: widths[size],
    colorScheme: colours,
    timezoneId: "UTC",
    locale: "en-GB",
    reducedMotion: "reduce",
    ...(size === "phone" ? { hasTouch: true, isMobile: true, deviceScaleFactor: 2 } : {}),
  });
  context.setDefaultTimeout(60_000);
  const page = await context.newPage();
  if (options.now === undefined) await page.clock.setFixedTime(moment);
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(`${fixture.url}/#token=${fixture.token}`);
  await page.locator("main").waitFor();
  return {
    page,
    fixture,
    complaints,
    async [Symbol.asyncDispose]() {
      await context.close();
      await fixture.stop();
    },
  };
}

/** Until the other page is drawn: the one before it has a heading, too. */
export async function open(page: Page, hash: string): Promise<void> {
  await page.evaluate(
    (next) =>
      new Promise<void>((resolve) => {
        if (location.hash === next) return resolve();
        // Told after the pages, which drew what they were told at once.
        addEventListener("hashchange", () => requestAnimationFrame(() => resolve()), { once: true });
        location.hash = next;
      }),
    hash,
  );
  await page.locator("main h1, main .empty").first().waitFor();
}
