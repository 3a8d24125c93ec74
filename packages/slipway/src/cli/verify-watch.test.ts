import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { SlipwayError, systemClock, until } from "@slipway/base";
import type { CliContext } from "./command.ts";
import { watchAndRun } from "./verify-watch.ts";

interface Watch {
  readonly folder: string;
  readonly said: readonly string[];
  /** Until a run has read this in `file`. */
  sees(file: string, text: string): Promise<unknown>;
}

/** Each run reads `read`; "oops" in one of them is a mistake. How many runs there are is nobody's business. */
async function watching(
  paths: readonly string[],
  read: readonly string[],
  body: (watch: Watch) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "slipway-watch-"));
  const stop = new AbortController();
  const said: string[] = [];
  const context = {
    clock: systemClock,
    signal: stop.signal,
    write: (text: string) => said.push(text),
    writeError: (text: string) => said.push(text),
  } as unknown as CliContext;
  const seen = new Map<string, string>();
  await mkdir(join(folder, "spec"));
  const ended = watchAndRun(
    context,
    paths.map((path) => join(folder, path)),
    async () => {
      for (const file of read) {
        const text = await readFile(join(folder, file), "utf8").catch(() => "nothing");
        seen.set(file, text);
        if (text === "oops")
          throw new SlipwayError({ code: "VERIFY_SPEC_INVALID", message: text, exitCode: 2 });
      }
    },
  );
  try {
    const sees = (file: string, text: string) => until(`${file} is ${text}`, () => seen.get(file) === text);
    await body({ folder, said, sees });
    stop.abort();
    assert.equal(await ended, 130);
  } finally {
    stop.abort();
    await ended;
    await rm(folder, { recursive: true, force: true });
  }
}

async function replace(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text);
  await rename(`${path}.new`, path);
}

test("a change of a watched file runs the checks again, a mistake waits for the next change, Ctrl-C ends it", async () => {
  await watching(["spec"], ["spec/web.ts"], async ({ folder, said, sees }) => {
    const file = join(folder, "spec/web.ts");
    for (const text of ["1", "oops", "3"]) {
      await writeFile(file, text);
      await sees("spec/web.ts", text);
    }
    await until("it waits", () => said.some((text) => text.includes("waiting for changes")));
    assert.match(said.join(""), /oops/);
  });
});

test("a file that is replaced, as editors and builds do, is noticed each time, in a folder and named by itself", async () => {
  await watching(["spec", "built.json"], ["spec/web.ts", "built.json"], async ({ folder, sees }) => {
    for (const text of ["1", "2", "3"]) {
      await replace(join(folder, "spec/web.ts"), text);
      await sees("spec/web.ts", text);
      await replace(join(folder, "built.json"), text);
      await sees("built.json", text);
    }
  });
});

test("folders that come later, and come back, are watched too", async () => {
  const files = ["spec/deep/er/web.ts", "later/own/web.ts"];
  await watching(["spec", "later/own"], files, async ({ folder, sees }) => {
    for (const file of files) {
      const own = join(folder, file, "..");
      for (const text of ["1", "2"]) {
        await mkdir(own, { recursive: true });
        for (const more of ["", "again"]) {
          await replace(join(folder, file), `${text}${more}`);
          await sees(file, `${text}${more}`);
        }
        await rm(join(own, ".."), { recursive: true });
        await sees(file, "nothing");
      }
      await mkdir(join(folder, "spec"), { recursive: true });
    }
  });
});
