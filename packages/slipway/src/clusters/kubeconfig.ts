/**
 * Kubeconfigs, read and merged as kubectl does: the files of KUBECONFIG in their order, else ~/.kube/config; of two
 * entries with one name the first counts, whole; a file that is not there is passed over; paths in a file are relative
 * to its folder. What an entry means for a client is said in `context.ts`.
 */
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { nearest, SlipwayError, systemCode } from "@slipway/base";
import { parse } from "yaml";

export interface ClusterEntry {
  readonly server?: string;
  readonly "certificate-authority"?: string;
  readonly "certificate-authority-data"?: string;
  readonly "insecure-skip-tls-verify"?: boolean;
  readonly "tls-server-name"?: string;
  readonly "proxy-url"?: string;
  readonly extensions?: readonly { readonly name?: string; readonly extension?: unknown }[] | null;
}

export interface ExecEntry {
  readonly apiVersion?: string;
  readonly command?: string;
  readonly args?: readonly string[] | null;
  readonly env?: readonly { readonly name: string; readonly value: string }[] | null;
  readonly installHint?: string;
  readonly interactiveMode?: "Never" | "IfAvailable" | "Always";
  readonly provideClusterInfo?: boolean;
}

export interface AuthProviderEntry {
  readonly name?: string;
  readonly config?: Readonly<Record<string, string>> | null;
}

export interface UserEntry {
  readonly token?: string;
  readonly tokenFile?: string;
  readonly username?: string;
  readonly password?: string;
  readonly "client-certificate"?: string;
  readonly "client-certificate-data"?: string;
  readonly "client-key"?: string;
  readonly "client-key-data"?: string;
  readonly exec?: ExecEntry | null;
  readonly "auth-provider"?: AuthProviderEntry | null;
  readonly as?: string;
  readonly "as-uid"?: string;
  readonly "as-groups"?: readonly string[];
  readonly "as-user-extra"?: Readonly<Record<string, readonly string[]>>;
}

interface ContextEntry {
  readonly cluster?: string;
  readonly user?: string;
}

/** An entry with the name it goes by and the file it comes from. */
export type Named<T> = T & { readonly name: string; readonly file: string };

export interface Kubeconfig {
  readonly clusters: readonly Named<ClusterEntry>[];
  readonly users: readonly Named<UserEntry>[];
  readonly contexts: readonly Named<ContextEntry>[];
  /** The files that were looked at, there or not. */
  readonly paths: readonly string[];
}

export function readKubeconfig(env: NodeJS.ProcessEnv): Kubeconfig {
  const set = env["KUBECONFIG"];
  const paths =
    set === undefined || set === ""
      ? [join(env["HOME"] ?? homedir(), ".kube", "config")]
      : set.split(delimiter).filter((path) => path !== "");
  const files = paths.flatMap((path) => {
    const content = readDocument(path);
    return content === undefined ? [] : [{ file: resolve(path), content }];
  });
  const collect = <T>(kind: string, key: string): Named<T>[] => {
    const found = new Map<string, Named<T>>();
    for (const { file, content } of files) {
      for (const entry of entriesOf(content[key], file, key)) {
        const value = (entry[kind] ?? {}) as T;
        if (!found.has(entry.name)) found.set(entry.name, { ...value, name: entry.name, file });
      }
    }
    return [...found.values()];
  };
  return {
    clusters: collect("cluster", "clusters"),
    users: collect("user", "users"),
    contexts: collect("context", "contexts"),
    paths,
  };
}

function readDocument(path: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = parse(readFileSync(path, "utf8"));
    if (value === null) return undefined;
    if (typeof value !== "object" || Array.isArray(value)) throw new Error("is not a mapping");
    return value as Record<string, unknown>;
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw invalid(path, error instanceof Error ? error.message : String(error));
  }
}

function entriesOf(
  value: unknown,
  file: string,
  key: string,
): readonly { readonly name: string; readonly [kind: string]: unknown }[] {
  if (value === undefined || value === null) return [];
  const isList = Array.isArray(value) && value.every((entry) => typeof entry?.name === "string");
  if (!isList) throw invalid(file, `${key} should be a list of entries with a name`);
  return value as { name: string }[];
}

function invalid(where: string, message: string): SlipwayError {
  const hint = "It should be a kubeconfig in YAML.";
  return new SlipwayError({ code: "KUBECONFIG_INVALID", where, message, hint, exitCode: 3 });
}

export interface ContextFacts {
  /** The context's name in the kubeconfig. */
  readonly context: string;
  readonly cluster: Named<ClusterEntry> & { readonly server: string };
  /** Empty when the context names none. */
  readonly user: Named<UserEntry>;
}

/** What a context consists of. `where` is the place in the configuration that names it. */
export function findContext(kubeconfig: Kubeconfig, contextName: string, where: string): ContextFacts {
  const context = kubeconfig.contexts.find((entry) => entry.name === contextName);
  if (context === undefined) throw noContext(kubeconfig, contextName, where);
  const cluster = kubeconfig.clusters.find((entry) => entry.name === context.cluster);
  const broken = (message: string): SlipwayError =>
    new SlipwayError({
      code: "KUBECONFIG_INVALID",
      where,
      message: `context "${contextName}" ${message}`,
      hint: `Mend ${context.file}, or choose another context.`,
      exitCode: 3,
    });
  if (cluster === undefined) throw broken(`names cluster "${context.cluster}", which is not there`);
  const { server } = cluster;
  if (server === undefined || !URL.canParse(server)) {
    throw broken(
      `names cluster "${context.cluster}", which has ${server === undefined ? "no server" : `the server "${server}", which is no URL`}`,
    );
  }
  const user = kubeconfig.users.find((entry) => entry.name === context.user);
  if (user === undefined && context.user !== undefined && context.user !== "") {
    throw broken(`names user "${context.user}", which is not there`);
  }
  const nobody = { name: "", file: context.file };
  return { context: contextName, cluster: { ...cluster, server }, user: user ?? nobody };
}

function noContext(kubeconfig: Kubeconfig, contextName: string, where: string): SlipwayError {
  const known = kubeconfig.contexts.map((entry) => entry.name);
  const guess = nearest(contextName, known);
  return new SlipwayError({
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

/** The data of an entry, or the content of the file it names; data wins, as with kubectl. */
export function dataOrFile(
  entry: { readonly file: string },
  data: string | undefined,
  path: string | undefined,
): string | undefined {
  if (data !== undefined && data !== "") return Buffer.from(data, "base64").toString();
  if (path === undefined || path === "") return undefined;
  return readBeside(entry, path);
}

/** A file that an entry names, relative to the entry's own. */
export function readBeside(entry: { readonly file: string }, path: string): string {
  const full = resolve(dirname(entry.file), path);
  try {
    return readFileSync(full, "utf8");
  } catch (error) {
    throw new SlipwayError({
      code: "KUBECONFIG_INVALID",
      where: entry.file,
      message: `names ${full}, which cannot be read (${systemCode(error) ?? String(error)})`,
      hint: "Mend the path, or log in to the cluster again.",
      exitCode: 3,
      cause: error,
    });
  }
}
