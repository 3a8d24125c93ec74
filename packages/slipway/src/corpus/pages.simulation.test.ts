/** The corpus, played calm: the goals hold, and the pages that are made from it are current (UPDATE=1 writes them). */
import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { before, test } from "node:test";
import { renderCauseIndex, renderCausePage } from "../release/judge/cause-pages.ts";
import { causeCodes } from "../release/judge/causes.ts";
import { examplesOf, renderCorpusPage } from "./pages.ts";
import { type CorpusReport, runCorpus } from "./run-corpus.ts";

const root = join(import.meta.dirname, "../../../..");
let report: CorpusReport;

before(async () => {
  report = await runCorpus({
    corpus: join(root, "corpus"),
    kinds: ["failures", "transients"],
    seeds: 0,
    seedsOfFailures: 0,
    openHeld: false,
  });
});

async function isCurrent(file: string, text: string): Promise<void> {
  const path = join(root, "docs", file);
  if (process.env["UPDATE"] === "1") {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }
  assert.equal(await readFile(path, "utf8").catch(() => ""), text, `docs/${file} is not current`);
}

test("every goal is met", () => {
  assert.deepEqual(
    report.score.goals.filter(({ isMet }) => !isMet),
    [],
  );
});

test("every cause has a page, made from the code and the corpus", async () => {
  const examples = examplesOf(report.cases);
  await isCurrent("causes/README.md", renderCauseIndex());
  for (const code of causeCodes)
    await isCurrent(`causes/${code}.md`, renderCausePage(code, examples.get(code)));
});

test("the page about the corpus is what it scores", () =>
  isCurrent("reference/corpus.md", renderCorpusPage(report)));
