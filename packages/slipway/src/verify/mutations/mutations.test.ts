import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { systemClock } from "@slipway/base";
import { ImageLayout } from "../../images/layout.ts";
import { WEB_RUNNING } from "./checks.ts";
import { MUTATIONS } from "./mutations.ts";
import { type Decided, falseFailures, falsePasses, runCorpus, show, undecided } from "./score.ts";
import { isAboutRunning, spread } from "./spread.ts";

let folder: string;
let decided: readonly Decided[];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-mutations-"));
  decided = await runCorpus({ layout: await ImageLayout.open(folder), clock: systemClock });
});
after(() => rm(folder, { recursive: true, force: true }));

test("the corpus has at least 80 broken images, each with its own name", () => {
  assert.ok(MUTATIONS.length >= 80, String(MUTATIONS.length));
  assert.equal(new Set(MUTATIONS.map(({ base, name }) => `${base} ${name}`)).size, MUTATIONS.length);
});

test("with nothing running, no check passes that does not hold, and none fails that does", () => {
  assert.deepEqual(falsePasses(decided).map(show), []);
  assert.deepEqual(falseFailures(decided).map(show), []);
});

test("with nothing running, every check of configuration, files, accounts and packages is decided", () => {
  const still = decided.filter(({ needsEngine }) => !needsEngine);
  assert.deepEqual(undecided(still.filter(({ isProvable }) => isProvable)).map(show), []);
  assert.ok(still.length > 4_000, String(still.length));
});

test("what needs a container is unknown then, never anything else", () => {
  const running = decided.filter(({ needsEngine }) => needsEngine);
  assert.deepEqual(running.filter(({ verdict }) => verdict !== "unknown").map(show), []);
});

test("the spread has every image that need not run, and breaks every check of what runs that the corpus breaks", () => {
  const fewer = spread(MUTATIONS);
  const still = MUTATIONS.filter((mutation) => !isAboutRunning(mutation));
  assert.deepEqual(
    fewer.filter((mutation) => !isAboutRunning(mutation)),
    still,
  );
  const broken = (mutations: typeof MUTATIONS): readonly string[] =>
    [...new Set(mutations.flatMap(({ untrue }) => untrue))].filter((name) => name in WEB_RUNNING).sort();
  assert.deepEqual(broken(fewer), broken(MUTATIONS));
  assert.ok(fewer.length < MUTATIONS.length);
});
