/**
 * From what this machine's cluster shows to what anybody's would: the names of the run, of this machine and of its
 * folders are replaced, what only fills pages (managedFields, the node's list of images) is left out. Times stay.
 */
import { hostname } from "node:os";
import type { KubeObject } from "@slipway/kube";
import { HOSTS } from "./registry.ts";

export const NAMESPACE = "shop";

/** Replaces in texts, both ways; `namespace` is the run's own. */
export function names(namespace: string): {
  readonly toMachine: (text: string) => string;
  readonly toNeutral: (text: string) => string;
} {
  return {
    toMachine: (text) => {
      let result = text;
      for (const [name, host] of HOSTS) {
        // A misbehaving repository counts by run: `registry.example/limited/web` → `localhost:5001/limited/RUN/web`.
        result = result.replaceAll(
          new RegExp(`${name.replaceAll(".", "\\.")}/([a-z-]+)/`, "g"),
          `${host}/$1/${namespace}/`,
        );
        result = result.replaceAll(name, host);
      }
      return result.replaceAll("$NAMESPACE", namespace);
    },
    toNeutral: (text) => {
      let result = text;
      for (const [name, host] of HOSTS) {
        result = result.replaceAll(`${host}/v2/`, `${name}/v2/`).replaceAll(host, name);
      }
      return (
        result
          .replaceAll(/([a-z-]+)\/c-[a-z0-9-]+-x[0-9a-f]{4}\//g, "$1/")
          .replaceAll(
            /https:\/\/127\.0\.0\.1:544\d\/\w+\/[\w-]+/g,
            "https://policy.policies.svc:443/validate",
          )
          .replaceAll(/127\.0\.0\.1:5449/g, "10.96.0.44:443")
          .replaceAll(namespace, NAMESPACE)
          .replaceAll(/\bnode-1\b/g, "node-a")
          .replaceAll(/\/[\w./-]*real-kubernetes\/[abc]\/kubelet/g, "/var/lib/kubelet")
          .replaceAll(/\/[\w./-]*real-kubernetes\/[abc]\/containerd\/state/g, "/run/containerd")
          .replaceAll(/\/[\w./-]*real-kubernetes\/[abc]\/containerd\/root/g, "/var/lib/containerd")
          .replaceAll(/\/[\w./-]*real-kubernetes\/[abc]/g, "/var/lib/kubernetes")
          .replaceAll(/lookup (\S+) on [\d.]+:53/g, "lookup $1 on 10.0.0.2:53")
          .replaceAll(/read udp [\d.]+:\d+->[\d.]+:53/g, "read udp 10.0.0.9:41000->10.0.0.2:53")
          .replaceAll(/dial tcp (?:127\.0\.0\.1|\[::1\]):500[19]/g, "dial tcp 10.0.0.40:443")
          // Whole words only: a short name of a machine is also a part of random names of pods.
          .replaceAll(new RegExp(`(?<![a-z0-9])${hostname()}(?![a-z0-9])`, "g"), "control-plane")
      );
    },
  };
}

/**
 * What a text of the corpus names that anybody's cluster would not: undefined where there is nothing. Addresses,
 * folders, registries and nodes are those of a short list; all else is the machine's own.
 */
export function foreignTo(text: string): string | undefined {
  for (const [found] of text.matchAll(ADDRESS)) if (!NEUTRAL_ADDRESS.test(found)) return found;
  for (const [, found = ""] of text.matchAll(FOLDER)) if (!NEUTRAL_FOLDERS.has(found)) return found;
  for (const [, found = ""] of text.matchAll(IMAGE)) if (!NEUTRAL_REGISTRIES.has(found)) return found;
  for (const [, found = ""] of text.matchAll(NODE)) if (!/^node-[a-z]$/.test(found)) return found;
  return MACHINE.exec(text)?.[0];
}

const ADDRESS = /(?<![\d.-])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])/g;
/** Machines, pods on machines and on hollow nodes, Services, what binds everywhere. */
const NEUTRAL_ADDRESS = /^(?:10\.0\.0|10\.88|10\.244|10\.9[6-9]|10\.1[01]\d|0\.0\.0)\.[\d.]+$/;
/** The first part of an absolute path; one letter alone is an escape or a unit. */
const FOLDER = /(?<![\w.:~/<>*-])(\/[A-Za-z][\w.-]+)/g;
const NEUTRAL_FOLDERS: ReadonlySet<string> = new Set([
  ...["/bin", "/data", "/dev", "/etc", "/proc", "/run", "/srv", "/tmp", "/usr", "/var"],
  ...["/cache", "/cgi-bin", "/foreign", "/healthz", "/once", "/program.sh", "/ready", "/token", "/v2"],
]);
const IMAGE = /"image(?:ID)?":"([^/"]+)\//g;
const NEUTRAL_REGISTRIES: ReadonlySet<string> = new Set([...HOSTS.map(([name]) => name), "registry.invalid"]);
const NODE = /"nodeName":"([^"]*)"/g;
/** The recorder's registries by their ports, its folders below /tmp, a run's namespace, a name half replaced. */
const MACHINE =
  /localhost:\d+|real-kubernetes|\/tmp\/(?!www|state|warm)[\w-]+|\bnode-1\b|\bc-[a-z0-9-]+-x[0-9a-f]{4}\b|[a-z0-9]control-plane|control-plane[a-z0-9]|"managedFields"/;

export function neutral(object: KubeObject, namespace: string): KubeObject {
  const { managedFields: _, ...metadata } = object.metadata as KubeObject["metadata"] & {
    readonly managedFields?: unknown;
  };
  const slim = { ...object, metadata } as KubeObject & {
    readonly status?: { readonly images?: unknown; readonly nodeInfo?: Record<string, string> };
  };
  const text = names(namespace).toNeutral(JSON.stringify(object.kind === "Node" ? slimNode(slim) : slim));
  return JSON.parse(text) as KubeObject;
}

function slimNode(
  node: KubeObject & {
    readonly status?: { readonly images?: unknown; readonly nodeInfo?: Record<string, string> };
  },
): unknown {
  const { images: _images, nodeInfo, ...status } = node.status ?? {};
  const info = nodeInfo === undefined ? {} : { nodeInfo: { ...nodeInfo, ...NEUTRAL_INFO } };
  return { ...node, status: { ...status, ...info } };
}

const NEUTRAL_INFO = {
  machineID: "0".repeat(32),
  systemUUID: "00000000-0000-0000-0000-000000000000",
  bootID: "00000000-0000-0000-0000-000000000000",
  kernelVersion: "6.1.0",
};
