/**
 * Other tools on the same case: the change of a service that they themselves deploy, and how long until they say that it
 * failed. Each waits with its own patience unless told otherwise; what they print is not read, only their exit code.
 */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { exec } from "../../packages/base/src/index.ts";
import type { AnyObject } from "../../packages/kube/src/index.ts";

export interface PeerScene {
  /** Of the cluster, an administrator's. */
  readonly kubeconfig: string;
  readonly namespace: string;
  readonly before: readonly AnyObject[];
  readonly after: readonly AnyObject[];
  /** As the peer's own `--timeout`, like `90s`; undefined: what it does by itself. */
  readonly patience: string | undefined;
  /** Ends a peer that would wait for ever. */
  readonly signal: AbortSignal;
  /** Called when the service before is the peer's, just before the change. */
  readonly begin: () => Promise<void>;
}

export interface PeerEnd {
  /** Its last line. */
  readonly said: string;
  readonly verdict: "failed" | "success" | "still waits";
}

export interface Peer {
  readonly name: string;
  /** Version, or undefined where it is not installed. */
  version(): Promise<string | undefined>;
  /** Resolves when the change is on its way; `ended` when the peer has ended by itself. */
  begin(scene: PeerScene): Promise<{ readonly ended: Promise<PeerEnd> }>;
}

/** `kubectl apply` and `kubectl rollout status`, whose patience is the Deployment's progressDeadlineSeconds. */
export const kubectl: Peer = {
  name: "kubectl",
  version: () => firstLine(["kubectl", "version", "--client"]),
  begin: async ({ kubeconfig, namespace, before, after, patience, signal, begin }) => {
    const base = ["kubectl", "--kubeconfig", kubeconfig, "--namespace", namespace];
    const folder = await mkdtemp(join(tmpdir(), "slipway-peer-"));
    const apply = async (name: string, objects: readonly AnyObject[]): Promise<void> => {
      const file = join(folder, `${name}.yaml`);
      await writeFile(file, manifestOf(objects));
      await must([...base, "apply", "-f", file]);
    };
    try {
      // The annotation of the last apply, as a service has that kubectl applies.
      await apply("before", before);
      await begin();
      await apply("after", after);
    } finally {
      await rm(folder, { recursive: true });
    }
    const limit = patience === undefined ? [] : [`--timeout=${patience}`];
    return { ended: endOf([...base, "rollout", "status", "deployment/web", ...limit], signal) };
  },
};

const RELEASE = "shop";

/** `helm upgrade --wait` of a chart that holds the case's objects, after `helm install` of those before it. */
export const helm: Peer = {
  name: "helm",
  version: () => firstLine(["helm", "version", "--short"]),
  begin: async ({ kubeconfig, namespace, before, after, patience, signal, begin }) => {
    const place = ["--kubeconfig", kubeconfig, "--namespace", namespace];
    const chart = await mkdtemp(join(tmpdir(), "slipway-chart-"));
    const remove = (): Promise<void> => rm(chart, { recursive: true, force: true });
    try {
      await writeChart(chart, before);
      // The stage has made them already; helm takes over only what says that it is its own.
      for (const { kind, metadata } of before) {
        const subject = [kind.toLowerCase(), metadata.name, "--overwrite"];
        await must([
          ...["kubectl", ...place, "annotate", ...subject],
          ...[`meta.helm.sh/release-name=${RELEASE}`, `meta.helm.sh/release-namespace=${namespace}`],
        ]);
        await must(["kubectl", ...place, "label", ...subject, "app.kubernetes.io/managed-by=Helm"]);
      }
      await must(["helm", "install", RELEASE, chart, ...place, "--wait"]);
      await writeChart(chart, after);
      await begin();
    } catch (error) {
      await remove();
      throw error;
    }
    const limit = patience === undefined ? [] : ["--timeout", patience];
    const ended = endOf(["helm", "upgrade", RELEASE, chart, ...place, "--wait", ...limit], signal);
    return { ended: ended.finally(remove) };
  },
};

export const peers: readonly Peer[] = [kubectl, helm];

async function writeChart(folder: string, objects: readonly AnyObject[]): Promise<void> {
  await mkdir(join(folder, "templates"), { recursive: true });
  const chart = { apiVersion: "v2", name: RELEASE, version: "0.1.0" };
  await writeFile(join(folder, "Chart.yaml"), stringify(chart));
  // A brace of an object is no template.
  const text = manifestOf(objects).replaceAll("{{", '{{ "{{" }}');
  await writeFile(join(folder, "templates/objects.yaml"), text);
}

function manifestOf(objects: readonly AnyObject[]): string {
  return objects.map((object) => stringify(object)).join("---\n");
}

async function must(argv: readonly string[]): Promise<void> {
  const { exitCode, stderr } = await exec(argv);
  if (exitCode !== 0) throw new Error(`${argv.slice(0, 2).join(" ")}: ${stderr}`);
}

async function endOf(argv: readonly string[], signal: AbortSignal): Promise<PeerEnd> {
  let last = "";
  try {
    const { exitCode, stdout, stderr } = await exec(argv, {
      signal,
      onOutput: (text) => {
        last = lastLine(text) || last;
      },
    });
    const verdict = exitCode === 0 ? "success" : "failed";
    return { said: lastLine(`${stdout}\n${stderr}`), verdict };
  } catch (error) {
    if (!signal.aborted) throw error;
    return { said: last, verdict: "still waits" };
  }
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "";
}

function firstLine(argv: readonly string[]): Promise<string | undefined> {
  return exec(argv).then(
    ({ exitCode, stdout }) => (exitCode === 0 ? stdout.trim().split("\n")[0] : undefined),
    () => undefined,
  );
}
