import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { SlipwayError } from "@slipway/base";
import type { KubeObject } from "../resources/meta.ts";
import { type JournaledStore, openStore } from "./journal.ts";

function pod(name: string, label = ""): KubeObject {
  const metadata = { name, namespace: "default", uid: `u-${name}`, labels: { label } };
  return { apiVersion: "v1", kind: "Pod", metadata };
}

function fill(store: JournaledStore): void {
  store.commit({ op: "create", object: pod("a") });
  store.commit({ op: "create", object: pod("b") });
  store.commit({ op: "update", object: pod("a", "changed") });
  store.commit({ op: "delete", kind: "Pod", namespace: "default", name: "b" });
}

describe("the journaled store", () => {
  let directory: string;
  const journal = (): string => join(directory, "journal.jsonl");
  const names = (store: JournaledStore): string[] => store.list("Pod").map(({ metadata }) => metadata.name);

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "slipway-journal-"));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it("holds after a restart what it held before, and goes on with the next version", () => {
    const before = openStore(directory);
    fill(before);
    before.close();
    const after = openStore(directory);
    assert.deepEqual(after.snapshot(), before.snapshot());
    assert.deepEqual(after.get("Pod", "default", "a")?.metadata.labels, { label: "changed" });
    assert.equal(after.commit({ op: "create", object: pod("c") }).metadata.resourceVersion, "5");
    after.close();
  });

  it("lets a watch go on across a restart", () => {
    const before = openStore(directory);
    fill(before);
    before.close();
    const after = openStore(directory);
    const seen: string[] = [];
    after.watch({ from: 2 }, ({ type, resourceVersion }) => seen.push(`${resourceVersion} ${type}`));
    assert.deepEqual(seen, ["3 MODIFIED", "4 DELETED"]);
    after.close();
  });

  it("drops a last line that a crash cut short, and writes on cleanly", () => {
    const before = openStore(directory);
    fill(before);
    before.close();
    appendFileSync(journal(), '{"v":5,"op":"create","object":{"apiVer');
    const after = openStore(directory);
    assert.equal(after.resourceVersion, 4);
    after.commit({ op: "create", object: pod("c") });
    after.close();
    const again = openStore(directory);
    assert.deepEqual(names(again), ["a", "c"]);
    again.close();
  });

  it("refuses a journal that is damaged in its middle, with the line", () => {
    const before = openStore(directory);
    fill(before);
    before.close();
    const lines = readFileSync(journal(), "utf8").split("\n");
    writeFileSync(journal(), [lines[0], "{ nonsense", ...lines.slice(2)].join("\n"));
    assert.throws(
      () => openStore(directory),
      (error) =>
        error instanceof SlipwayError && error.code === "STORE_CORRUPT" && error.where === `${journal()}:2`,
    );
    writeFileSync(journal(), [lines[0], ...lines.slice(2)].join("\n"));
    assert.throws(() => openStore(directory), /commit 3 follows 1/);
  });

  it("folds a long journal into a snapshot, and loses nothing", () => {
    const before = openStore(directory, { compactBytes: 2000 });
    before.commit({ op: "create", object: pod("a") });
    for (let round = 0; round < 200; round += 1) {
      before.commit({ op: "update", object: pod("a", String(round)) });
      assert.ok(statSync(journal()).size < 3000);
    }
    before.close();
    const after = openStore(directory);
    assert.equal(after.resourceVersion, 201);
    assert.deepEqual(after.get("Pod", "default", "a")?.metadata.labels, { label: "199" });
    after.close();
  });

  it("skips what the snapshot has, when a crash came between snapshot and emptying the journal", () => {
    const before = openStore(directory);
    fill(before);
    const lines = readFileSync(journal(), "utf8");
    before.compact();
    before.commit({ op: "create", object: pod("c") });
    before.close();
    writeFileSync(journal(), lines + readFileSync(journal(), "utf8"));
    const after = openStore(directory);
    assert.deepEqual(after.snapshot(), before.snapshot());
    after.close();
  });

  it("refuses a commit after close, and the commit has not happened", () => {
    const store = openStore(directory);
    store.close();
    assert.throws(() => store.commit({ op: "create", object: pod("a") }), /the store is closed/);
    assert.equal(store.resourceVersion, 0);
    assert.deepEqual(names(store), []);
  });

  it("has every acknowledged commit after kill -9", async () => {
    const module = fileURLToPath(new URL("./journal.ts", import.meta.url));
    const program = `
      const { openStore } = await import(${JSON.stringify(module)});
      const store = openStore(${JSON.stringify(directory)}, { compactBytes: 20000 });
      for (let i = 0; ; i += 1) {
        const metadata = { name: "p" + (i % 50), namespace: "default", uid: "u" + (i % 50), labels: { i: String(i) } };
        const object = { apiVersion: "v1", kind: "Pod", metadata };
        const done = store.commit({ op: i < 50 ? "create" : "update", object });
        process.stdout.write(done.metadata.resourceVersion + "\\n");
        if (i % 100 === 0) await new Promise(setImmediate);
      }`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      if (output.length > 20_000) child.kill("SIGKILL");
    });
    await once(child, "close");
    const acknowledged = Number(output.slice(0, output.lastIndexOf("\n")).split("\n").at(-1));
    const store = openStore(directory);
    assert.ok(acknowledged > 1000);
    assert.ok(store.resourceVersion >= acknowledged, `${store.resourceVersion} after ${acknowledged}`);
    const newest = Math.max(...store.list("Pod").map(({ metadata }) => Number(metadata.labels?.["i"])));
    assert.equal(newest, store.resourceVersion - 1);
    store.close();
  });
});
