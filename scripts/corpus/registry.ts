/**
 * The registry of the cases: one that behaves, and before it one that misbehaves when the first part of a repository's
 * name says so (`unauthorized/web`, `limited-then-fine/web`). containerd speaks plain HTTP to localhost; another
 * address has TLS with a certificate that nobody trusts.
 */

import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { createServer as createSilentServer, type Server as SilentServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exec, SlipwayError } from "@slipway/base";
import { buildImages } from "../../packages/slipway/src/images/build.ts";
import { digestOf, hostPlatform } from "../../packages/slipway/src/images/oci.ts";
import { createRegistryClient } from "../../packages/slipway/src/images/registry/client.ts";
import { startRegistry } from "../../packages/slipway/src/images/registry/registry.ts";

export const FAULTY_PORT = 5001;
export const UNTRUSTED_PORT = 5443;
/** Takes connections and says nothing: a TLS handshake that times out. */
const SILENT_PORT = 5445;
/** The node's address on the bridge of its pods: not localhost, so containerd wants TLS. */
const NODE_ADDRESS = "10.88.0.1";
/** After so many answers `…-then-fine` is fine; a pull is one request that fails, or two. */
const FAULTS_BEFORE_FINE = 2;
const SLOW_PULL_MS = 90_000;

/** Names in the cases, and what they are on this machine; `@` stands for the run's own part. */
export const HOSTS: readonly (readonly [string, string])[] = [
  ["registry.example", `localhost:${FAULTY_PORT}`],
  ["untrusted.example", `${NODE_ADDRESS}:${UNTRUSTED_PORT}`],
  // An address of the pods' network that no pod has.
  ["unreachable.example", "10.88.254.254"],
  ["silent.example", `${NODE_ADDRESS}:${SILENT_PORT}`],
  ["closed.example", "localhost:5009"],
];

export interface CaseRegistry {
  close(): Promise<void>;
}

export async function startCaseRegistry(): Promise<CaseRegistry> {
  const directory = await mkdtemp(join(tmpdir(), "slipway-corpus-"));
  const good = await startRegistry({ directory: join(directory, "registry"), port: 0 });
  await buildProgram(directory, good.host);
  const counts = new Map<string, number>();
  const handle = (incoming: IncomingMessage, response: ServerResponse): void =>
    answer(incoming, response, { port: good.port, counts });
  const plain = createServer(handle);
  const tls = createTlsServer(await selfSigned(directory, NODE_ADDRESS), handle);
  const held = new Set<Socket>();
  const silent = createSilentServer((socket) => {
    held.add(socket);
    socket.on("error", () => undefined).once("close", () => held.delete(socket));
  });
  await Promise.all([
    listen(plain, FAULTY_PORT, "127.0.0.1"),
    listen(tls, UNTRUSTED_PORT, NODE_ADDRESS),
    listen(silent, SILENT_PORT, NODE_ADDRESS),
  ]);
  return {
    close: async () => {
      for (const server of [plain, tls]) {
        server.closeAllConnections();
        await new Promise<void>((resolve) => server.close(() => resolve()));
      }
      for (const socket of held) socket.destroy();
      await new Promise<void>((resolve) => silent.close(() => resolve()));
      await good.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function listen(server: Server | SilentServer, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) =>
      reject(
        new SlipwayError({
          code: "CORPUS_PORT_TAKEN",
          where: `${host}:${port}`,
          message: cause.message,
          hint: "Another recorder, or its tests, may be running: the cases name this port, so there can be one at a time.",
          exitCode: 3,
          cause,
        }),
      ),
    );
    server.listen(port, host, () => resolve());
  });
}

/** The images: the program for this machine, and one that a processor of another kind could run. */
async function buildProgram(directory: string, registry: string): Promise<void> {
  const context = join(directory, "context");
  await cp(join(import.meta.dirname, "../../corpus/program"), context, { recursive: true });
  try {
    await cp("/bin/busybox", join(context, "busybox"), { dereference: true });
  } catch (cause) {
    throw new SlipwayError({
      code: "CORPUS_BUSYBOX_MISSING",
      where: "/bin/busybox",
      message: "is not there; the program of the cases is made of it",
      hint: "apt-get install busybox-static",
      exitCode: 3,
      cause,
    });
  }
  await writeFile(join(context, "foreign"), foreignProgram(), { mode: 0o755 });
  await writeFile(
    join(context, "Dockerfile.foreign"),
    'FROM scratch\nCOPY foreign /foreign\nENTRYPOINT ["/foreign"]\n',
  );
  const images = [
    { name: "web", dockerfile: "Dockerfile" },
    { name: "foreign", dockerfile: "Dockerfile.foreign" },
  ];
  const layoutDirectory = join(directory, "built");
  const { ImageLayout } = await import("../../packages/slipway/src/images/layout.ts");
  const layout = await ImageLayout.open(layoutDirectory);
  const client = createRegistryClient();
  const built = await buildImages({
    images: images.map(({ name, dockerfile }) => ({
      name,
      from: { kind: "context", context, dockerfile: join(context, dockerfile), args: {} },
    })),
    layout,
    registry: client,
    root: context,
    commitTimeMs: 1_700_000_000_000,
    isLocal: true,
    allowHostBases: [],
  });
  for (const image of built) {
    const descriptor = await layout.resolve(image.name, "latest");
    if (descriptor === undefined) throw new Error(`the layout lost ${image.name}`);
    for (const tag of ["1", "2"]) await client.push(layout, descriptor, `${registry}/${image.name}:${tag}`);
  }
  await client.close();
}

/** The header of an ELF program for another architecture, with nothing behind it. */
function foreignProgram(): Buffer {
  const header = Buffer.alloc(64);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  header.writeUInt16LE(2, 16); // an executable
  header.writeUInt16LE(hostPlatform().architecture === "arm64" ? 62 : 183, 18); // x86-64, AArch64
  header.writeUInt32LE(1, 20);
  header.writeUInt16LE(64, 52);
  return header;
}

/** A key and a certificate that no one has signed. */
export async function selfSigned(directory: string, address: string): Promise<{ key: string; cert: string }> {
  const path = (name: string): string => join(directory, `${address}.${name}`);
  const made = await exec([
    ...[
      "openssl",
      "req",
      "-x509",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-days",
      "2",
      "-subj",
      "/CN=registry.example",
    ],
    ...["-addext", `subjectAltName=IP:${address},DNS:policy.policies.svc`],
    ...["-keyout", path("key"), "-out", path("crt")],
  ]);
  if (made.exitCode !== 0) throw new Error(made.stderr);
  const { readFile } = await import("node:fs/promises");
  return { key: await readFile(path("key"), "utf8"), cert: await readFile(path("crt"), "utf8") };
}

interface Behind {
  readonly port: number;
  readonly counts: Map<string, number>;
}

/** `/v2/limited-then-fine/RUN/web/manifests/2` → the behaviour `limited-then-fine`, then as if it were `/v2/web/…`. */
function answer(incoming: IncomingMessage, response: ServerResponse, behind: Behind): void {
  const url = incoming.url ?? "/";
  if (url.startsWith("/token")) return token(url, response);
  const match = /^\/v2\/([a-z0-9-]+)\/([a-z0-9-]+)\/(.+?)\/(manifests|blobs)\/(.+)$/.exec(url);
  if (match === null) return pass(incoming, response, url, behind);
  const [, behaviour = "", run = "", repository, type, what] = match;
  const path = `/v2/${repository}/${type}/${what}`;
  const fault = FAULTS[behaviour.replace(/-then-fine$/, "")];
  if (fault === undefined) return pass(incoming, response, path, behind);
  if (!behaviour.endsWith("-then-fine")) return fault(incoming, response, path, behind);
  const key = `${behaviour}/${run}`;
  const count = (behind.counts.get(key) ?? 0) + 1;
  behind.counts.set(key, count);
  if (count <= FAULTS_BEFORE_FINE) return fault(incoming, response, path, behind);
  pass(incoming, response, path, behind);
}

type Fault = (incoming: IncomingMessage, response: ServerResponse, path: string, behind: Behind) => void;

const says =
  (status: number, code: string, message: string, headers: Record<string, string> = {}): Fault =>
  (_incoming, response) => {
    response.writeHead(status, { "Content-Type": "application/json", ...headers });
    response.end(JSON.stringify({ errors: [{ code, message }] }));
  };
const challenge = (scope: string): Record<string, string> => ({
  "WWW-Authenticate": `Bearer realm="http://localhost:${FAULTY_PORT}/token",service="registry.example",scope="${scope}"`,
});

const FAULTS: Readonly<Record<string, Fault>> = {
  unauthorized: says(401, "UNAUTHORIZED", "authentication required", challenge("refused")),
  denied: says(401, "DENIED", "requested access to the resource is denied", {
    "WWW-Authenticate": `Bearer realm="http://localhost:${FAULTY_PORT}/token",service="registry.example",scope="granted",error="insufficient_scope"`,
  }),
  "token-unavailable": says(401, "UNAUTHORIZED", "authentication required", challenge("unavailable")),
  forbidden: says(403, "DENIED", "permission denied"),
  missing: says(404, "MANIFEST_UNKNOWN", "manifest unknown"),
  nameless: says(404, "NAME_UNKNOWN", "repository name not known to registry"),
  limited: says(429, "TOOMANYREQUESTS", "You have reached your pull rate limit.", { "Retry-After": "60" }),
  broken: says(500, "UNKNOWN", "internal server error"),
  unavailable: says(503, "UNAVAILABLE", "service unavailable"),
  reset: (incoming) => incoming.socket.destroy(),
  slow: (incoming, response, path, behind) => {
    const timer = setTimeout(
      () => pass(incoming, response, path, behind),
      incoming.method === "HEAD" ? SLOW_PULL_MS : 0,
    );
    incoming.once("close", () => response.writableEnded || clearTimeout(timer));
  },
  // An index that has the image for another architecture only.
  elsewhere: (incoming, response, path, behind) => {
    const index = JSON.stringify({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.index.v1+json",
      manifests: [
        {
          mediaType: "application/vnd.oci.image.manifest.v1+json",
          digest: `sha256:${"5c".repeat(32)}`,
          size: 500,
          platform: {
            os: "linux",
            architecture: hostPlatform().architecture === "arm64" ? "amd64" : "arm64",
          },
        },
      ],
    });
    const asked = /sha256:[0-9a-f]{64}/.exec(path)?.[0];
    if (asked !== undefined && asked !== digestOf(index)) return pass(incoming, response, path, behind);
    response.writeHead(200, {
      "Docker-Content-Digest": digestOf(index),
      "Content-Type": "application/vnd.oci.image.index.v1+json",
      "Content-Length": String(Buffer.byteLength(index)),
    });
    response.end(incoming.method === "HEAD" ? "" : index);
  },
};

function token(url: string, response: ServerResponse): void {
  const scope = new URL(url, "http://localhost").searchParams.getAll("scope").join(" ");
  if (scope.includes("granted")) {
    response.writeHead(200, { "Content-Type": "application/json" });
    response.end(JSON.stringify({ token: "corpus", expires_in: 300 }));
  } else if (scope.includes("unavailable")) {
    response.writeHead(503);
    response.end("the token service is down");
  } else {
    response.writeHead(401, { "Content-Type": "application/json" });
    response.end(JSON.stringify({ errors: [{ code: "UNAUTHORIZED", message: "authentication required" }] }));
  }
}

function pass(incoming: IncomingMessage, response: ServerResponse, path: string, behind: Behind): void {
  const forward = request(
    { host: "127.0.0.1", port: behind.port, method: incoming.method, path, headers: incoming.headers },
    (good) => {
      response.writeHead(good.statusCode ?? 502, good.headers);
      good.pipe(response);
    },
  );
  forward.on("error", () => response.destroy());
  incoming.pipe(forward);
}
