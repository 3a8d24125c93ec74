/**
 * Credential plugins: programs that print an ExecCredential (client.authentication.k8s.io/v1 and v1beta1), such as
 * gke-gcloud-auth-plugin, aws, kubelogin. As client-go runs them: the kubeconfig's environment on top of ours, what the
 * plugin may know in KUBERNETES_EXEC_INFO, a terminal only for those that may ask a person.
 *
 * `ExecAuth` of `@kubernetes/client-node` does less: no KUBERNETES_EXEC_INFO, no installHint, no terminal, no end to a
 * program that hangs, and of one that fails only its standard error.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { dirname, resolve } from "node:path";
import { type Clock, SlipwayError, shellLine, systemCode } from "@slipway/base";
import type { Credentials } from "@slipway/kube";
import { type ContextFacts, dataOrFile, type ExecEntry } from "./kubeconfig.ts";

export interface PluginOptions {
  /** The place in the configuration, for messages. */
  readonly where: string;
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  /** Is there a person at the terminal whom a plugin may ask? */
  readonly isTerminal: boolean;
  /** A plugin without a person gets this long. Default one minute. */
  readonly timeoutMs?: number | undefined;
}

export interface LoadedCredentials {
  readonly credentials: Credentials;
  /** Milliseconds since the epoch; undefined when they stay good until the server refuses them. */
  readonly expiresAt: number | undefined;
}

const API_VERSIONS = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"];
const PLUGIN_TIMEOUT_MS = 60_000;
const HEAD_LINES = 4;
const TAIL_LINES = 6;
const CLUSTER_EXTENSION = "client.authentication.k8s.io/exec";

/** Rejects with CREDENTIALS_PLUGIN: what went wrong, the last that the program said, and the line to try it by hand. */
export async function runPlugin(
  facts: ContextFacts,
  exec: ExecEntry,
  options: PluginOptions,
): Promise<LoadedCredentials> {
  const { where, env, clock } = options;
  const { apiVersion = "", command = "" } = exec;
  const fail = (message: string, hint: string, cause?: unknown): SlipwayError =>
    new SlipwayError({ code: "CREDENTIALS_PLUGIN", where, message, hint, exitCode: 3, cause });
  if (command === "") throw fail("the kubeconfig's exec has no command", `Mend ${facts.user.file}.`);
  if (!API_VERSIONS.includes(apiVersion)) {
    const hint = `Update the plugin, or set one of ${API_VERSIONS.join(", ")} in ${facts.user.file}.`;
    throw fail(
      `${command} is configured for ${apiVersion || "no apiVersion"}, which is no longer in use`,
      hint,
    );
  }
  const isInteractive = options.isTerminal && exec.interactiveMode !== "Never";
  if (exec.interactiveMode === "Always" && !isInteractive) {
    throw fail(`${command} wants to ask a person, and there is no terminal`, `Log in first: ${lineOf(exec)}`);
  }
  const info = {
    apiVersion,
    kind: "ExecCredential",
    spec: { interactive: isInteractive, ...(exec.provideClusterInfo ? { cluster: clusterInfo(facts) } : {}) },
  };
  // A command with a path is relative to the kubeconfig; a bare name is looked for in PATH.
  const program = /[\\/]/.test(command) ? resolve(dirname(facts.user.file), command) : command;
  const child = spawn(program, [...(exec.args ?? [])], {
    stdio: [isInteractive ? "inherit" : "ignore", "pipe", isInteractive ? "inherit" : "pipe"],
    env: {
      ...env,
      ...Object.fromEntries((exec.env ?? []).map(({ name, value }) => [name, value])),
      KUBERNETES_EXEC_INFO: JSON.stringify(info),
    },
  });
  const timeoutMs = isInteractive ? undefined : (options.timeoutMs ?? PLUGIN_TIMEOUT_MS);
  const ended = await outputOf(child, clock, timeoutMs).catch((cause: unknown) => {
    const isMissing = systemCode(cause) === "ENOENT";
    const fact = isMissing ? "is not installed" : `cannot be started (${systemCode(cause)})`;
    const install = exec.installHint?.trim() || "Install it, and see that it is in PATH.";
    throw fail(
      `the credential plugin ${command} ${fact}`,
      isMissing ? install : `Try it: ${lineOf(exec)}`,
      cause,
    );
  });
  const tryIt = `Try it: ${lineOf(exec)}`;
  if (ended.isKilled) throw fail(`${command} did not end within ${timeoutMs} ms${said(ended.stderr)}`, tryIt);
  if (ended.code !== 0) {
    const how = ended.code === null ? `was ended by ${ended.signal}` : `ended with exit code ${ended.code}`;
    throw fail(`${command} ${how}${said(ended.stderr)}`, tryIt);
  }
  const parsed = credentialOf(ended.stdout, apiVersion);
  if (typeof parsed === "string") throw fail(`${command} ${parsed}${said(ended.stderr)}`, tryIt);
  return parsed;
}

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly isKilled: boolean;
}

async function outputOf(child: ChildProcess, clock: Clock, timeoutMs: number | undefined): Promise<Ended> {
  let [stdout, stderr, isKilled] = ["", "", false];
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    if (stderr.length < 64_000) stderr += text;
  });
  const timer = new AbortController();
  if (timeoutMs !== undefined) {
    clock.sleep(timeoutMs, timer.signal).then(
      () => {
        isKilled = true;
        child.kill("SIGKILL");
        // Its own children may hold the pipes open for longer than anyone waits.
        child.stdout?.destroy();
        child.stderr?.destroy();
      },
      () => undefined,
    );
  }
  try {
    return await new Promise<Ended>((done, reject) => {
      child.on("error", reject);
      child.on("close", (code, signal) => done({ code, signal, stdout, stderr, isKilled }));
    });
  } finally {
    timer.abort();
  }
}

/** What a program wrote on standard error: its first lines, where gcloud says what is wrong, and its last, as others do. */
function said(stderr: string): string {
  const lines = stderr.split("\n").flatMap((line) => line.trimEnd() || []);
  const shown =
    lines.length <= HEAD_LINES + TAIL_LINES
      ? lines
      : [...lines.slice(0, HEAD_LINES), "…", ...lines.slice(-TAIL_LINES)];
  return shown.length === 0 ? "" : `:\n${shown.map((line) => `  | ${line}`).join("\n")}`;
}

/** The plugin as a line for a shell, with its environment; what looks like a secret is left to the person. */
function lineOf({ command = "", args, env }: ExecEntry): string {
  const settings = (env ?? []).map(({ name, value }) =>
    /secret|token|password|key/i.test(name) ? `${name}=…` : shellLine([`${name}=${value}`]),
  );
  return [...settings, shellLine([command, ...(args ?? [])])].join(" ");
}

/** `spec.cluster` of the ExecCredential that the plugin gets: v1's names, which are the kubeconfig's own. */
function clusterInfo({ cluster }: ContextFacts): Readonly<Record<string, unknown>> {
  const ca = dataOrFile(cluster, cluster["certificate-authority-data"], cluster["certificate-authority"]);
  const config = cluster.extensions?.find(({ name }) => name === CLUSTER_EXTENSION)?.extension;
  return {
    server: cluster.server,
    ...(cluster["tls-server-name"] === undefined ? {} : { "tls-server-name": cluster["tls-server-name"] }),
    ...(cluster["insecure-skip-tls-verify"] === true ? { "insecure-skip-tls-verify": true } : {}),
    ...(ca === undefined ? {} : { "certificate-authority-data": Buffer.from(ca).toString("base64") }),
    ...(cluster["proxy-url"] === undefined ? {} : { "proxy-url": cluster["proxy-url"] }),
    ...(config === undefined ? {} : { config }),
  };
}

/** A text says what is wrong with it. */
function credentialOf(stdout: string, apiVersion: string): LoadedCredentials | string {
  let value: {
    readonly apiVersion?: string;
    readonly kind?: string;
    readonly status?: {
      readonly token?: string;
      readonly clientCertificateData?: string;
      readonly clientKeyData?: string;
      readonly expirationTimestamp?: string;
    };
  };
  try {
    value = JSON.parse(stdout);
  } catch {
    return "did not print an ExecCredential as JSON";
  }
  if (value?.kind !== "ExecCredential") return "did not print an ExecCredential";
  if (value.apiVersion !== apiVersion)
    return `answered in ${value.apiVersion}, but ${apiVersion} is configured`;
  const { token, clientCertificateData, clientKeyData, expirationTimestamp } = value.status ?? {};
  if ((clientCertificateData === undefined) !== (clientKeyData === undefined)) {
    return "gave one half of a client certificate and its key";
  }
  if (token === undefined && clientCertificateData === undefined) {
    return "gave neither a token nor a client certificate";
  }
  const expiresAt = expirationTimestamp == null ? undefined : Date.parse(expirationTimestamp);
  if (Number.isNaN(expiresAt)) return `gave an expirationTimestamp that is no time (${expirationTimestamp})`;
  return {
    credentials: {
      ...(token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }),
      ...(clientCertificateData === undefined ? {} : { clientCertificate: clientCertificateData }),
      ...(clientKeyData === undefined ? {} : { clientKey: clientKeyData }),
    },
    expiresAt,
  };
}
