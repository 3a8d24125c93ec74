/**
 * Where a Docker or Podman engine may answer, the way its own command line looks for it: the variable, the current
 * context, the socket. Nothing is asked here; `connect.ts` tries them in this order.
 *
 * Source: docker CLI 20.10 (DOCKER_HOST, DOCKER_CONTEXT, `currentContext` in config.json, contexts/meta/SHA256/meta.json),
 * podman-system-service(1) (the socket's places), podman(1) (CONTAINER_HOST).
 */
import { createHash } from "node:crypto";

export type EngineKind = "docker" | "podman";

export interface EngineAddress {
  readonly kind: EngineKind;
  /** `unix:///run/docker.sock`, `tcp://10.0.0.2:2376`, `ssh://user@host`. */
  readonly host: string;
  /** For people: `DOCKER_HOST`, `context build-box`, `the usual socket`. */
  readonly from: string;
  /** Folder with ca.pem, cert.pem and key.pem. */
  readonly tlsFolder?: string | undefined;
  /** A variable or a context asked for it: then it must answer, and no other is tried. */
  readonly isAsked: boolean;
}

export interface FindOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
  readonly home: string;
  readonly readText: (path: string) => string | undefined;
  readonly exists: (path: string) => boolean;
}

/** In the order in which they are tried; empty when there is none. */
export function engineAddresses(kind: EngineKind, options: FindOptions): readonly EngineAddress[] {
  return kind === "docker" ? dockerAddresses(options) : podmanAddresses(options);
}

function dockerAddresses(options: FindOptions): readonly EngineAddress[] {
  const { env, home, uid } = options;
  const configFolder = env["DOCKER_CONFIG"] ?? `${home}/.docker`;
  const host = env["DOCKER_HOST"];
  if (host) {
    const isTls = env["DOCKER_TLS_VERIFY"] !== undefined && env["DOCKER_TLS_VERIFY"] !== "";
    const tlsFolder = isTls ? (env["DOCKER_CERT_PATH"] ?? configFolder) : undefined;
    return [{ kind: "docker", host, from: "DOCKER_HOST", tlsFolder, isAsked: true }];
  }
  const context = env["DOCKER_CONTEXT"] || currentContext(options.readText(`${configFolder}/config.json`));
  if (context && context !== "default") {
    const folder = createHash("sha256").update(context).digest("hex");
    const endpoint = dockerEndpoint(options.readText(`${configFolder}/contexts/meta/${folder}/meta.json`));
    const tls = `${configFolder}/contexts/tls/${folder}/docker`;
    return [
      {
        kind: "docker",
        host: endpoint ?? "",
        from: `context ${context}`,
        tlsFolder: options.exists(`${tls}/ca.pem`) ? tls : undefined,
        isAsked: true,
      },
    ];
  }
  const sockets = ["/var/run/docker.sock", ...(uid === 0 ? [] : [`${runtimeFolder(env, uid)}/docker.sock`])];
  return usual("docker", sockets, options);
}

function podmanAddresses(options: FindOptions): readonly EngineAddress[] {
  const { env, uid } = options;
  const host = env["CONTAINER_HOST"];
  if (host) return [{ kind: "podman", host, from: "CONTAINER_HOST", isAsked: true }];
  const socket = uid === 0 ? "/run/podman/podman.sock" : `${runtimeFolder(env, uid)}/podman/podman.sock`;
  return usual("podman", [socket], options);
}

const usual = (
  kind: EngineKind,
  sockets: readonly string[],
  { exists }: FindOptions,
): readonly EngineAddress[] =>
  sockets
    .filter((path) => exists(path))
    .map((path) => ({ kind, host: `unix://${path}`, from: "the usual socket", isAsked: false }));

const runtimeFolder = (env: FindOptions["env"], uid: number): string =>
  env["XDG_RUNTIME_DIR"] ?? `/run/user/${uid}`;

function currentContext(config: string | undefined): string | undefined {
  const name = fieldOf(config, (document) => document["currentContext"]);
  return typeof name === "string" ? name : undefined;
}

function dockerEndpoint(meta: string | undefined): string | undefined {
  const host = fieldOf(meta, (document) => {
    const endpoints = document["Endpoints"] as { docker?: { Host?: unknown } } | undefined;
    return endpoints?.docker?.Host;
  });
  return typeof host === "string" ? host : undefined;
}

function fieldOf(text: string | undefined, pick: (document: Record<string, unknown>) => unknown): unknown {
  if (text === undefined) return undefined;
  try {
    const document: unknown = JSON.parse(text);
    return typeof document === "object" && document !== null
      ? pick(document as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
