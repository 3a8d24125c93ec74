/** How the other tools are called and what is made of their end. The programs are small ones that note their arguments. */
import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { helm, kubectl, type Peer, type PeerEnd } from "../bench/causes/peers.ts";
import { until } from "../packages/base/src/index.ts";
import type { AnyObject } from "../packages/kube/src/index.ts";

const web = (text: string): AnyObject => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web", annotations: { text } },
});

interface Called {
  readonly end: PeerEnd;
  /** What was called, a line each; the change began where `begin` stands. */
  readonly calls: readonly string[];
  /** The objects of the last chart or manifest. */
  readonly last: string;
}

/** `scripts` are the programs on the only PATH there is. */
async function call(
  t: TestContext,
  peer: Peer,
  scripts: Readonly<Record<string, string>>,
  patience?: string,
  signalOf: (log: string) => AbortSignal = () => new AbortController().signal,
): Promise<Called> {
  const root = await mkdtemp(join(tmpdir(), "slipway-peers-"));
  t.after(() => rm(root, { recursive: true }));
  await mkdir(join(root, "bin"));
  const log = join(root, "calls");
  const keep = `for a in "$@"; do test -d "$a" && /bin/cat "$a/templates/objects.yaml" > ${root}/last; done`;
  for (const [name, script] of Object.entries(scripts)) {
    const file = join(root, "bin", name);
    await writeFile(file, `#!/bin/sh\necho ${name} "$@" >> ${log}\n${keep}\n${script}\n`);
    await chmod(file, 0o755);
  }
  const path = process.env["PATH"];
  process.env["PATH"] = join(root, "bin");
  try {
    const begun = await peer.begin({
      ...{ kubeconfig: "/k", namespace: "shop-x", patience },
      ...{ before: [web("one")], after: [web("{{ two }}")] },
      begin: () => writeFile(log, "begin\n", { flag: "a" }),
      signal: signalOf(log),
    });
    const end = await begun.ended;
    const calls = (await readFile(log, "utf8"))
      .replaceAll(/\/\S*slipway-\S+/g, "FILE")
      .trim()
      .split("\n");
    return { end, calls, last: await readFile(join(root, "last"), "utf8").catch(() => "") };
  } finally {
    process.env["PATH"] = path;
  }
}

test("helm takes over what is there, installs it, and waits for the upgrade with its own patience", async (t) => {
  const failing =
    'test "$1" = upgrade && { echo "Error: timed out waiting for the condition" >&2; exit 1; }; exit 0';
  const { end, calls, last } = await call(t, helm, { helm: failing, kubectl: "exit 0" });
  assert.deepEqual(calls, [
    "kubectl --kubeconfig /k --namespace shop-x annotate deployment web --overwrite meta.helm.sh/release-name=shop meta.helm.sh/release-namespace=shop-x",
    "kubectl --kubeconfig /k --namespace shop-x label deployment web --overwrite app.kubernetes.io/managed-by=Helm",
    "helm install shop FILE --kubeconfig /k --namespace shop-x --wait",
    "begin",
    "helm upgrade shop FILE --kubeconfig /k --namespace shop-x --wait",
  ]);
  assert.deepEqual(end, { said: "Error: timed out waiting for the condition", verdict: "failed" });
  assert.match(last, /text: "?\{\{ "\{\{" \}\} two/, "braces of an object are no template");
});

test("helm is given the patience that was asked for, and a success is one", async (t) => {
  const { end, calls } = await call(t, helm, { helm: "echo deployed", kubectl: "exit 0" }, "90s");
  assert.match(`${calls.at(-1)}`, /--wait --timeout 90s$/);
  assert.deepEqual(end, { said: "deployed", verdict: "success" });
});

test("a chart that cannot be installed is an error and no measurement", async (t) => {
  const scripts = { helm: 'echo "Error: no" >&2; exit 1', kubectl: "exit 0" };
  await assert.rejects(call(t, helm, scripts), /helm install: Error: no/);
});

test("kubectl applies before and after, then waits", async (t) => {
  const { end, calls } = await call(t, kubectl, { kubectl: "echo ok" }, "5s");
  assert.deepEqual(calls, [
    "kubectl --kubeconfig /k --namespace shop-x apply -f FILE",
    "begin",
    "kubectl --kubeconfig /k --namespace shop-x apply -f FILE",
    "kubectl --kubeconfig /k --namespace shop-x rollout status deployment/web --timeout=5s",
  ]);
  assert.equal(end.verdict, "success");
});

test("who waits for ever is ended, and that is told", async (t) => {
  const waits = `test "$5" = rollout || exit 0; echo "Waiting for deployment"; echo waits >> "\${0%/bin/*}/calls"; exec /bin/sleep 60`;
  const endWaiting = (log: string): AbortSignal => {
    const controller = new AbortController();
    const asked = until("kubectl to wait", async () =>
      (await readFile(log, "utf8").catch(() => "")).includes("waits"),
    );
    void asked.then(() => controller.abort());
    return controller.signal;
  };
  const { end } = await call(t, kubectl, { kubectl: waits }, undefined, endWaiting);
  assert.equal(end.verdict, "still waits");
});

test("what is not installed has no version", async (t) => {
  const root = await mkdtemp(join(tmpdir(), "slipway-peers-"));
  t.after(() => rm(root, { recursive: true }));
  const path = process.env["PATH"];
  process.env["PATH"] = root;
  try {
    assert.equal(await helm.version(), undefined);
  } finally {
    process.env["PATH"] = path;
  }
});
