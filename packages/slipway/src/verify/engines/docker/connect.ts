/** From an address to an engine that has answered. dockerode is loaded only here: without an engine nobody pays for it. */
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { SlipwayError, systemCode } from "@slipway/base";
import type Docker from "dockerode";
import { type EngineAddress, type EngineKind, engineAddresses, type FindOptions } from "./find.ts";

export interface Connection {
  readonly docker: Docker;
  /** What really answers: Podman also stands behind Docker's socket. */
  readonly kind: EngineKind;
  readonly version: string;
  readonly address: EngineAddress;
  /** The engine's containers are processes of this machine. */
  readonly isLocal: boolean;
}

export function findOptions(env: NodeJS.ProcessEnv): FindOptions {
  return {
    env,
    uid: process.getuid?.() ?? 0,
    home: homedir(),
    exists: existsSync,
    readText: (path) => {
      try {
        return readFileSync(path, "utf8");
      } catch (error) {
        if (systemCode(error) === "ENOENT" || systemCode(error) === "EACCES") return undefined;
        throw error;
      }
    },
  };
}

/**
 * The first engine that answers; undefined when nothing is there. Rejects with ENGINE_UNREACHABLE (exit 3) when one was
 * asked for by a variable or a context and does not answer.
 */
export async function connect(kind: EngineKind, env: NodeJS.ProcessEnv): Promise<Connection | undefined> {
  for (const address of engineAddresses(kind, findOptions(env))) {
    try {
      return await connectTo(address);
    } catch (error) {
      if (address.isAsked) throw unreachable(address, error);
    }
  }
  return undefined;
}

export async function connectTo(address: EngineAddress): Promise<Connection> {
  const { default: Dockerode } = await import("dockerode");
  const docker = new Dockerode(dockerOptions(address));
  const version = await docker.version();
  const components = version.Components?.map(({ Name }) => Name) ?? [];
  return {
    docker,
    kind: components.some((name) => name.startsWith("Podman")) ? "podman" : "docker",
    version: version.Version,
    address,
    isLocal: address.host.startsWith("unix://"),
  };
}

function dockerOptions(address: EngineAddress): Docker.DockerOptions {
  const { host, tlsFolder } = address;
  if (host.startsWith("unix://")) return { socketPath: host.slice("unix://".length) };
  const url = URL.canParse(host) ? new URL(host) : undefined;
  if (url === undefined || !["tcp:", "http:", "https:", "ssh:"].includes(url.protocol)) {
    throw new SlipwayError({
      code: "ENGINE_ADDRESS_INVALID",
      where: address.from,
      message: host === "" ? "it names no address that can be read" : `"${host}" is not an engine's address`,
      hint: "Use unix:///path, tcp://host:port or ssh://user@host.",
      exitCode: 2,
    });
  }
  const isTls = tlsFolder !== undefined || url.protocol === "https:";
  const port = Number(url.port || (url.protocol === "ssh:" ? 22 : isTls ? 2376 : 2375));
  if (url.protocol === "ssh:") {
    return { protocol: "ssh", host: url.hostname, port, username: url.username };
  }
  return {
    protocol: isTls ? "https" : "http",
    host: url.hostname,
    port,
    ...(tlsFolder === undefined
      ? {}
      : {
          ca: readFileSync(join(tlsFolder, "ca.pem")),
          cert: readFileSync(join(tlsFolder, "cert.pem")),
          key: readFileSync(join(tlsFolder, "key.pem")),
        }),
  };
}

function unreachable(address: EngineAddress, cause: unknown): SlipwayError {
  if (cause instanceof SlipwayError && cause.code === "ENGINE_ADDRESS_INVALID") return cause;
  return new SlipwayError({
    code: "ENGINE_UNREACHABLE",
    where: `${address.from} (${address.host})`,
    message: cause instanceof Error ? cause.message : String(cause),
    hint: "Start the engine, correct the variable or context, or use --engine sandbox.",
    cause,
    exitCode: 3,
  });
}
