/**
 * Pushing: what a push through a faulty line sends, what an unchanged push asks, and what a big blob costs in memory on
 * either side, beside skopeo and Debian's docker-registry where they are installed. Writes results/push.md.
 *
 *   node bench/push.bench.ts [seeds, 200] [MB of the big blob, 1024]
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { exec, renderTable, seededRandom, writeAtomic } from "../packages/base/src/index.ts";
import { ImageLayout } from "../packages/slipway/src/images/layout.ts";
import { type Descriptor, encodeDocument, MEDIA } from "../packages/slipway/src/images/oci.ts";
import { createRegistryClient } from "../packages/slipway/src/images/registry/client.ts";
import { startRegistry } from "../packages/slipway/src/images/registry/registry.ts";
import { startDockerRegistry } from "../packages/slipway/src/images/registry/testing/docker-registry.ts";
import { FAULTS } from "../packages/slipway/src/images/registry/testing/fault-proxy.ts";
import { randomData } from "../packages/slipway/src/images/registry/testing/images.ts";
import { interpose } from "../packages/slipway/src/images/registry/testing/interposer.ts";
import {
  CHUNK_BYTES,
  pushUnderFaults,
} from "../packages/slipway/src/images/registry/testing/push-under-faults.ts";

const seeds = Number(process.argv[2] ?? 200);
const megabytes = Number(process.argv[3] ?? 1024);
const isFull = seeds >= 200 && megabytes >= 1024;
const MB = 1024 * 1024;
const LONGEST_GROWTH = 64 * MB;
const folder = await mkdtemp(join(tmpdir(), "slipway-bench-push-"));
const hasPeers = await Promise.all(
  ["skopeo", "docker-registry"].map((program) =>
    exec([program, "--version"]).then(
      () => true,
      () => false,
    ),
  ),
).then((found) => found.every(Boolean));
const lines: string[] = [];
let missed = 0;

function goal(isMet: boolean, text: string): void {
  if (!isMet) missed += 1;
  lines.push(`- ${text} ${isMet ? "" : "**missed**"}`.trimEnd());
}

try {
  await faults();
  await unchanged();
  await bigBlob();
} finally {
  await rm(folder, { recursive: true, force: true });
}
const page = `# Push

Made by \`node bench/push.bench.ts\`.

${lines.join("\n")}

Node ${process.version}, ${cpus().length} cores (${cpus()[0]?.model.trim()})
`;
console.log(page);
if (isFull) await writeAtomic(join(import.meta.dirname, "results", "push.md"), page);
process.exitCode = missed > 0 ? 1 : 0;

async function faults(): Promise<void> {
  const strikes = Object.fromEntries(FAULTS.map((fault) => [fault, 0])) as Record<string, number>;
  const broken: string[] = [];
  let requests = 0;
  let sent = 0;
  let needed = 0;
  let longestRepeat = 0;
  let worstRatio = 0;
  let acknowledgedAgain = 0;
  for (let seed = 1; seed <= seeds; seed += 1) {
    const run = await pushUnderFaults(seed);
    if (run.broken.length > 0) broken.push(`seed ${seed}: ${run.broken.join(", ")}`);
    for (const fault of FAULTS) strikes[fault] = (strikes[fault] ?? 0) + run.book.strikes[fault];
    requests += run.book.requests;
    sent += run.book.uploadedBytes;
    needed += run.blobBytes;
    longestRepeat = Math.max(longestRepeat, run.book.longestRepeat);
    acknowledgedAgain += run.book.repeatsOfAcknowledged;
    worstRatio = Math.max(worstRatio, run.book.uploadedBytes / run.blobBytes);
  }
  const total = Object.values(strikes).reduce((sum, count) => sum + count, 0);
  lines.push(
    "## Through a line that breaks",
    "",
    `${seeds} seeds; a proxy strikes 30 of 100 requests of a push and a pull back (${total} of ${requests} requests):`,
    "",
    "```",
    renderTable(FAULTS.map((fault) => [fault, String(strikes[fault])])),
    "```",
    "",
  );
  goal(broken.length === 0, `pushed and pulled back whole: ${seeds - broken.length} of ${seeds} (goal: all)`);
  goal(
    longestRepeat <= CHUNK_BYTES,
    `most bytes that one request sent again: ${longestRepeat} (goal: at most one chunk, ${CHUNK_BYTES})`,
  );
  goal(acknowledgedAgain === 0, `sent again although acknowledged: ${acknowledgedAgain} times (goal: never)`);
  lines.push(
    `- bytes sent: ${(sent / needed).toFixed(2)} × the blobs on average, ${worstRatio.toFixed(2)} × at worst`,
    ...broken.slice(0, 5).map((text) => `- ${text}`),
    "",
  );
}

/** An image of seven layers that is there already, pushed once more. */
async function unchanged(): Promise<void> {
  const layout = await ImageLayout.open(join(folder, "layers"));
  const random = seededRandom(7);
  const image = await putImage(
    layout,
    "layers",
    await Promise.all(Array.from({ length: 7 }, () => layout.put(randomData(random, 100_000)))),
  );
  const registry = await startRegistry({ directory: join(folder, "unchanged"), port: 0 });
  let bodyBytes = 0;
  const between = await interpose(registry.port, {
    answer: (incoming) => {
      bodyBytes += Number(incoming.headers["content-length"] ?? 0);
      return false;
    },
  });
  const client = createRegistryClient();
  const rows = [["", "requests", "bytes of bodies"]];
  const measure = async (who: string, push: () => Promise<unknown>): Promise<number> => {
    await push();
    between.asked.length = 0;
    bodyBytes = 0;
    await push();
    rows.push([who, String(between.asked.length), String(bodyBytes)]);
    return bodyBytes;
  };
  const ours = await measure("slipway", () => client.push(layout, image, `${between.host}/bench/a:layers`));
  if (hasPeers) {
    await measure("skopeo copy", () => skopeo(layout.directory, `${between.host}/bench/b`, "layers"));
  }
  await client.close();
  await between.close();
  await registry.close();
  lines.push(
    "## The same image once more",
    "",
    "Seven layers and a config.",
    "",
    "```",
    renderTable(rows),
    "```",
    "",
  );
  goal(ours === 0, `uploaded: ${ours} bytes (goal: 0)`);
  lines.push("");
}

/** Peaks of memory above what each process had after the push of a small image. */
async function bigBlob(): Promise<void> {
  const directory = join(folder, "big");
  const layout = await ImageLayout.open(directory);
  await putImage(layout, "small", [await layout.put(randomData(seededRandom(1), MB))]);
  await putImage(layout, "big", [await bigLayer(layout)]);
  const rows = [["", "client grows by", "registry grows by", "seconds"]];
  const registry = run(process.execPath, [join(import.meta.dirname, "push/registry.ts"), join(folder, "to")]);
  const host = await registry.line();
  const client = run(process.execPath, [join(import.meta.dirname, "push/client.ts"), directory, host]);
  await client.line();
  const say = async (tag: string): Promise<void> => {
    client.child.stdin?.write(`${tag}\n`);
    await client.line();
  };
  await say("small");
  const base = { client: await rss(client.child), registry: await rss(registry.child) };
  const started = performance.now();
  await say("big");
  const seconds = (performance.now() - started) / 1000;
  const grown = {
    client: (await peak(client.child)) - base.client,
    registry: (await peak(registry.child)) - base.registry,
  };
  rows.push(["slipway", mb(grown.client), mb(grown.registry), seconds.toFixed(1)]);
  for (const { child } of [client, registry]) await end(child);
  await rm(join(folder, "to"), { recursive: true, force: true });
  if (hasPeers) rows.push(await peers(directory));
  lines.push(`## A blob of ${megabytes} MB`, "", "```", renderTable(rows), "```", "");
  lines.push("- peaks of resident memory; slipway's above that after a push of 1 MB, the peers' as a whole");
  goal(grown.client <= LONGEST_GROWTH, `the client grew by ${mb(grown.client)} (goal: at most 64 MB)`);
  goal(grown.registry <= LONGEST_GROWTH, `the registry grew by ${mb(grown.registry)} (goal: at most 64 MB)`);
  if (!hasPeers) lines.push("- skopeo or docker-registry is not installed on this machine: not compared");
}

async function peers(directory: string): Promise<string[]> {
  const home = await mkdtemp(join(folder, "distribution-"));
  const registry = await startDockerRegistry(home);
  const started = performance.now();
  const child = spawn("skopeo", skopeoArguments(directory, `${registry.host}/bench/push`, "big"), {
    stdio: "ignore",
  });
  let largest = 0;
  const watch = setInterval(
    () =>
      void peak(child).then(
        (bytes) => (largest = Math.max(largest, bytes)),
        () => {},
      ),
    20,
  );
  const [code] = (await once(child, "exit")) as [number];
  clearInterval(watch);
  if (code !== 0) throw new Error(`skopeo ended with ${code}`);
  const seconds = (performance.now() - started) / 1000;
  const row = ["skopeo, docker-registry", mb(largest), mb(await peak(registry)), seconds.toFixed(1)];
  await registry.close();
  await rm(home, { recursive: true, force: true });
  return row;
}

async function bigLayer(layout: ImageLayout): Promise<{ digest: string; size: number }> {
  const block = randomData(seededRandom(2), MB);
  async function* blocks(): AsyncGenerator<Buffer> {
    for (let at = 0; at < megabytes; at += 1) {
      block.writeUInt32BE(at); // no two blocks are the same
      yield block;
    }
  }
  return layout.putStream(blocks());
}

async function putImage(
  layout: ImageLayout,
  tag: string,
  blobs: readonly { digest: string; size: number }[],
): Promise<Descriptor> {
  const config = await layout.put(
    encodeDocument({
      os: "linux",
      architecture: "amd64",
      config: {},
      rootfs: { type: "layers", diff_ids: blobs.map(({ digest }) => digest) },
    }),
  );
  const manifest = encodeDocument({
    schemaVersion: 2,
    mediaType: MEDIA.manifest,
    config: { mediaType: MEDIA.config, ...config },
    layers: blobs.map((blob) => ({ mediaType: MEDIA.layer, ...blob })),
  });
  const descriptor = { mediaType: MEDIA.manifest, ...(await layout.put(manifest)) };
  await layout.hold("bench", descriptor, [tag]);
  return descriptor;
}

/** As it is, without compressing: the same bytes that we send. */
function skopeoArguments(directory: string, repository: string, tag: string): string[] {
  const options = ["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false", "--preserve-digests"];
  return [...options, `oci:${directory}:bench:${tag}`, `docker://${repository}:${tag}`];
}

async function skopeo(directory: string, repository: string, tag: string): Promise<void> {
  const { exitCode, stderr } = await exec(["skopeo", ...skopeoArguments(directory, repository, tag)]);
  if (exitCode !== 0) throw new Error(`skopeo: ${stderr}`);
}

interface Running {
  readonly child: ChildProcess;
  line(): Promise<string>;
}

function run(program: string, args: readonly string[]): Running {
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
  const reader = createInterface(child.stdout as NodeJS.ReadableStream)[Symbol.asyncIterator]();
  return {
    child,
    line: async () => {
      const { value, done } = await reader.next();
      if (done === true) throw new Error(`${args[0]} ended`);
      return value as string;
    },
  };
}

async function end(child: ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
}

/** Resident bytes now; peaks are counted from here on. */
async function rss({ pid }: ChildProcess): Promise<number> {
  await writeFile(`/proc/${pid}/clear_refs`, "5");
  return readStatus(pid, "VmRSS");
}

function peak({ pid }: { readonly pid?: number | undefined }): Promise<number> {
  return readStatus(pid, "VmHWM");
}

async function readStatus(pid: number | undefined, field: string): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const kilobytes = new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1];
  if (kilobytes === undefined) throw new Error(`no ${field} of process ${pid}`);
  return Number(kilobytes) * 1024;
}

function mb(bytes: number): string {
  return `${(bytes / MB).toFixed(0)} MB`;
}
