/** The corpus as data: complete, each recording its case's own, nothing of the recorder's machine in it. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { type CorpusCase, isHeldBack, loadCases } from "../packages/slipway/src/corpus/case.ts";
import { loadObjects } from "../packages/slipway/src/corpus/objects.ts";
import { type Recording, readRecording } from "../packages/slipway/src/corpus/recording.ts";
import { causeCodes } from "../packages/slipway/src/release/judge/causes.ts";
import { foreignTo } from "../scripts/corpus/neutral.ts";

/** Those that nobody could record yet as they say; the list may only become shorter. */
const NOT_RECORDED: readonly string[] = [];

const corpus = import.meta.dirname;
const cases = await loadCases(corpus);
const recorded = cases.filter((one) => one.plays === undefined && !NOT_RECORDED.includes(one.id));
const pathOf = (one: CorpusCase): string => join(one.directory, "recording.jsonl.gz");

test("there are as many as promised, and about a third of each kind is held back, by the name alone", () => {
  for (const [kind, atLeast] of [
    ["failures", 60],
    ["transients", 40],
  ] as const) {
    const all = cases.filter((one) => one.kind === kind);
    const held = all.filter((one) => one.held);
    assert.ok(all.length >= atLeast, `${all.length} ${kind}`);
    assert.deepEqual(
      held.map(({ id }) => id),
      all.filter(({ id }) => isHeldBack(id)).map(({ id }) => id),
    );
    const share = held.length / all.length;
    assert.ok(share > 0.25 && share < 0.42, `${share} of the ${kind} are held back`);
  }
});

test("every folder is a case, and no name is given twice", async () => {
  for (const kind of ["failures", "transients"] as const) {
    const folders = (await readdir(join(corpus, kind))).toSorted();
    assert.deepEqual(
      cases.filter((one) => one.kind === kind).map(({ id }) => id),
      folders,
      `a folder of ${kind} has no case.yaml`,
    );
  }
  const twice = await mkdtemp(join(tmpdir(), "corpus-"));
  const text = (kind: string): Promise<string> =>
    readFile(
      join(corpus, kind, kind === "failures" ? "crash-at-once" : "plain-rollout", "case.yaml"),
      "utf8",
    );
  for (const kind of ["failures", "transients"]) {
    await mkdir(join(twice, kind, "same"), { recursive: true });
    const renamed = (await text(kind)).replace(/^held:.*/m, `held: ${isHeldBack("same")}`);
    await writeFile(join(twice, kind, "same", "case.yaml"), renamed);
  }
  await assert.rejects(loadCases(twice), { where: "corpus/transients/same", code: "CORPUS_CASE_INVALID" });
  await rm(twice, { recursive: true });
});

test("every case has a recording of its own, plays one that there is, or is listed as not recorded", async () => {
  const without: string[] = [];
  for (const one of cases.filter(({ plays }) => plays === undefined)) {
    try {
      await readFile(pathOf(one));
    } catch {
      without.push(one.id);
    }
  }
  assert.deepEqual(without.toSorted(), NOT_RECORDED.toSorted());
  for (const one of cases.filter(({ recorded }) => recorded === "by-hand")) {
    assert.ok((one.because ?? "").length > 20, `${one.id}: because`);
  }
});

test("a recording is its case's own: who, where, what was before, the apply, the signal", async () => {
  for (const one of recorded) {
    const { header, lines } = await readRecording(pathOf(one));
    assert.equal(header.case, one.id);
    assert.equal(header.place, one.recorded, one.id);
    assert.equal(header.decisiveAt !== undefined, one.decisive !== undefined, `${one.id}: decisiveAt`);
    const end = lines.at(-1)?.at ?? 0;
    assert.ok((header.decisiveAt ?? 0) <= end, `${one.id}: decided after its end`);
    const [first] = lines;
    assert.ok(first !== undefined && first.at < 0, `${one.id}: what was there before`);
    assert.ok(
      lines.some((line) => "applied" in line || "refused" in line),
      `${one.id}: the apply`,
    );
  }
});

test("what was applied or refused is what the case applies", async () => {
  for (const one of recorded) {
    const { after } = await loadObjects(one);
    const names = after.map((object) => `${object.kind} ${object.metadata.name}`);
    for (const name of written(await readRecording(pathOf(one)))) {
      assert.ok(names.includes(name), `${one.id}: ${name} is not in after.yaml`);
    }
  }
});

function written(recording: Recording): readonly string[] {
  return recording.lines.flatMap((line) => {
    if ("applied" in line) return [`${line.applied.kind} ${line.applied.name}`];
    return "refused" in line ? [`${line.refused.kind} ${line.refused.name}`] : [];
  });
}

test("where a probe is to blame, the recording shows that it failed", async () => {
  for (const one of recorded) {
    const { expect } = one;
    if (expect.verdict !== "failed" || !/^(?:Readiness|Liveness|Startup)Failed$/.test(expect.cause)) continue;
    const { lines } = await readRecording(pathOf(one));
    const failed = lines.some(
      (line) =>
        line.at > 0 && "type" in line && (line.object as { readonly reason?: string }).reason === "Unhealthy",
    );
    assert.ok(failed, one.id);
  }
});

test("a cause that is expected is one that the judge can say", () => {
  for (const { id, expect } of cases) {
    if (expect.verdict === "healthy" || expect.cause === undefined) continue;
    assert.ok(causeCodes.includes(expect.cause), `${id}: ${expect.cause}`);
  }
});

test("cases and recordings hold nothing of the machine", async () => {
  for (const one of cases) {
    for (const file of await readdir(one.directory)) {
      const bytes = await readFile(join(one.directory, file));
      const text = (file.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
      const found = foreignTo(text);
      const at = text.indexOf(found ?? "");
      assert.equal(found, undefined, `${one.id}/${file}: …${text.slice(Math.max(0, at - 60), at + 60)}…`);
    }
  }
});

test("what is of the machine would be found", () => {
  const table: readonly (readonly [string, string])[] = [
    ['"hostIP":"192.168.1.7"', "192.168.1.7"],
    ['"message":"lstat /home/jo/shop: no such file"', "/home"],
    ['"path":"/work/cluster/kubelet.yaml"', "/work"],
    ['"message":"open /tmp/run-3x/state"', "/tmp/run-3x"],
    ['"image":"localhost:5001/web:1"', "localhost:5001"],
    ['"image":"registry.corp.internal/web:1"', "registry.corp.internal"],
    ['"nodeName":"build-7"', "build-7"],
    ['"namespace":"c-quota-freed-x0b1f"', "c-quota-freed-x0b1f"],
    ['"name":"web-5bf5-bqcontrol-planec"', "qcontrol-plane"],
    ['{"managedFields":[]}', '"managedFields"'],
  ];
  for (const [text, found] of table) assert.equal(foreignTo(text), found, text);
  for (const text of ['"podIP":"10.88.2.97"', '"path":"/cgi-bin/ready"', '"image":"registry.example/web:1"'])
    assert.equal(foreignTo(text), undefined, text);
});
