/**
 * A configured `context()` → a client: reads the kubeconfig as kubectl does (KUBECONFIG with several files, first
 * one wins; else ~/.kube/config) and takes tokens, client certificates and the cluster's CA from it. Contexts that
 * need a program for their credentials (exec plugins, auth providers) are refused by name, not half supported.
 */
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { nearest, SlipwayError, systemCode } from "@slipway/base";
import { createHttpClient, type KubeClient } from "@slipway/kube";
import { parse } from "yaml";

interface Named<K extends string, T> {
  readonly list: readonly (T & { readonly folder: string; readonly name: string })[];
  readonly kind: K;
}

interface ClusterEntry {
  readonly server?: string;
  readonly "certificate-authority"?: string;
  readonly "certificate-authority-data"?: string;
  readonly "insecure-skip-tls-verify"?: boolean;
}

interface UserEntry {
  readonly token?: string;
  readonly tokenFile?: string;
  readonly "client-certificate"?: string;
  readonly "client-certificate-data"?: string;
  readonly "client-key"?: string;
  readonly "client-key-data"?: string;
  readonly exec?: { readonly command?: string };
  readonly "auth-provider"?: { readonly name?: string };
}

interface ContextEntry {
  readonly cluster?: string;
  readonly user?: string;
}

export interface Kubeconfig {
  readonly clusters: Named<"cluster", ClusterEntry>;
  readonly users: Named<"user", UserEntry>;
  readonly contexts: Named<"context", ContextEntry>;
  readonly paths: readonly string[];
}

export function readKubeconfig(env: NodeJS.ProcessEnv): Kubeconfig {
  const set = env["KUBECONFIG"];
  const paths =
    set === undefined || set === ""
      ? [join(env["HOME"] ?? homedir(), ".kube", "config")]
      : set.split(delimiter).filter((path) => path !== "");
  const documents = paths.flatMap((path) => {
    try {
      return [
        {
          folder: dirname(resolve(path)),
          value: parse(readFileSync(path, "utf8")) as Record<string, unknown> | null,
        },
      ];
    } catch (error) {
      if (systemCode(error) === "ENOENT") return [];
      throw new SlipwayError({
        code: "KUBECONFIG_INVALID",
        where: path,
        message: error instanceof Error ? error.message : String(error),
        hint: "It should be a kubeconfig in YAML.",
        exitCode: 3,
      });
    }
  });
  const collect = <K extends string, T>(kind: K, key: string): Named<K, T> => {
    const list = documents.flatMap(({ folder, value }) =>
      ((value?.[key] ?? []) as { name: string; [kind: string]: unknown }[]).map((entry) => ({
        ...((entry[kind] ?? {}) as T),
        name: entry.name,
        folder,
      })),
    );
    return { kind, list };
  };
  return {
    clusters: collect("cluster", "clusters"),
    users: collect("user", "users"),
    contexts: collect("context", "contexts"),
    paths,
  };
}

/** A client of one context. `name` is the cluster's name in the configuration. */
export function contextClient(name: string, contextName: string, kubeconfig: Kubeconfig): KubeClient {
  const where = `clusters/${name}/context`;
  const context = kubeconfig.contexts.list.find((entry) => entry.name === contextName);
  if (context === undefined) {
    const known = kubeconfig.contexts.list.map((entry) => entry.name);
    const guess = nearest(contextName, known);
    throw new SlipwayError({
      code: "KUBECONFIG_NO_CONTEXT",
      where,
      message: `no context "${contextName}" in ${kubeconfig.paths.join(", ")}`,
      hint:
        guess === undefined
          ? `Known: ${known.join(", ") || "none"}.`
          : `Did you mean "${guess}"? Known: ${known.join(", ")}.`,
      exitCode: 3,
    });
  }
  const cluster = kubeconfig.clusters.list.find((entry) => entry.name === context.cluster);
  const user = kubeconfig.users.list.find((entry) => entry.name === context.user);
  if (cluster?.server === undefined)
    throw broken(where, `context "${contextName}" names cluster "${context.cluster}", which has no server`);
  const plugin = user?.exec?.command ?? user?.["auth-provider"]?.name;
  if (plugin !== undefined) {
    throw new SlipwayError({
      code: "KUBECONFIG_PLUGIN",
      where,
      message: `context "${contextName}" gets its credentials from the program "${plugin}", which this version does not run`,
      hint: "Use a context with a token or a client certificate, for example of a ServiceAccount.",
      exitCode: 3,
    });
  }
  const file = (folder: string, path: string | undefined, data: string | undefined): string | undefined =>
    data !== undefined
      ? Buffer.from(data, "base64").toString()
      : path === undefined
        ? undefined
        : readFileSync(resolve(folder, path), "utf8");
  const ca = file(cluster.folder, cluster["certificate-authority"], cluster["certificate-authority-data"]);
  const cert =
    user === undefined
      ? undefined
      : file(user.folder, user["client-certificate"], user["client-certificate-data"]);
  const key = user === undefined ? undefined : file(user.folder, user["client-key"], user["client-key-data"]);
  const token =
    user?.token ??
    (user?.tokenFile === undefined
      ? undefined
      : readFileSync(resolve(user.folder, user.tokenFile), "utf8").trim());
  return createHttpClient({
    name,
    url: cluster.server,
    ...(cluster["insecure-skip-tls-verify"] === true ? { insecureSkipTlsVerify: true } : {}),
    ...(ca === undefined ? {} : { ca }),
    ...(token === undefined ? {} : { token }),
    ...(cert === undefined || key === undefined ? {} : { clientCertificate: cert, clientKey: key }),
  });
}

function broken(where: string, message: string): SlipwayError {
  return new SlipwayError({
    code: "KUBECONFIG_INVALID",
    where,
    message,
    hint: "Mend the kubeconfig, or choose another context.",
    exitCode: 3,
  });
}
