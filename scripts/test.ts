/**
 * Runs the test lanes named on the command line: `node scripts/test.ts unit simulation local`.
 *
 *   unit        tables, golden files, properties, the architecture test       needs nothing
 *   simulation  seeded worlds with faults                                     needs nothing
 *   local       sandboxed pods, the real kubectl when it is installed, stories   needs Linux namespaces
 *   real        the six stories on three clusters of a real Kubernetes, rights, autoscalers, changes of kind, a spread
 *               of forecasts and of the corpus                                needs SLIPWAY_REAL_KUBERNETES
 *   real-all    the same with many forecasts and every case of the corpus that a cluster can show
 *   corpus-all  every case of the corpus that the embedded cluster can show, also those that take minutes
 *   engine      the same checks in Docker's and Podman's containers, peers of the registry, programs of other architectures
 *              needs root, Debian's docker.io, podman, netavark, docker-registry, skopeo; qemu-user-static, or a refusal is tested
 *   browser     every page of the dashboard in Chromium, over a fixture       needs Debian's chromium
 *   sabotage    demos with one safeguard taken away, which must fail          needs Linux namespaces
 *
 * Properties draw the same cases in every run, so that a commit has one verdict; `SLIPWAY_PROPERTY_SEED=N` draws others
 * (`scripts/seed.ts`).
 *
 * The lane is the file's suffix: `x.test.ts`, `x.simulation.test.ts`, `x.local.test.ts`. Ends with one line
 * `N passed, N failed, N skipped`; a lane with no test, and in CI a skipped test, is a failure.
 */
import { spawn } from "node:child_process";
import { globSync } from "node:fs";
import { dirname, join } from "node:path";

const root = join(import.meta.dirname, "..");
const folders = [
  "packages/*/src",
  "packages/dashboard/{build,browser}",
  "test",
  "stories",
  "examples",
  "docs",
  "corpus",
];
interface Lane {
  readonly suffix: RegExp;
  readonly concurrency: number;
  /** Files that may run two at a time all the same: they mostly wait for pods to come and go. */
  readonly inPairs?: RegExp;
  /** Of those in pairs: begun first, so that at the end none of them is left over and runs alone. */
  readonly longest?: RegExp;
  readonly env?: Readonly<Record<string, string>>;
  /** With a Docker and a Podman engine that are started for it. */
  readonly hasEngines?: boolean;
  /** How long one file may take, until what is left of it is ended and it counts as failed. */
  readonly fileMinutes?: number;
}

/** Several times what the longest file takes on a slow machine. */
const FILE_MINUTES = 10;

const suffixes: Readonly<Record<string, Lane>> = {
  unit: { suffix: /(?<!\.(?:local|simulation|sabotage|real|engine|browser))\.test\.ts$/, concurrency: 2 },
  simulation: { suffix: /\.simulation\.test\.ts$/, concurrency: 2 },
  // Namespaces, ports and processor time are shared: one file at a time keeps timing honest.
  local: {
    suffix: /\.local\.test\.ts$/,
    concurrency: 1,
    inPairs: /^(?:stories|docs|packages\/slipway\/src\/(?:cli|verify))\//,
    longest: /^stories\/stories\./,
  },
  // Three whole demos that must fail: too long for every run of `npm test`.
  sabotage: { suffix: /\.sabotage\.test\.ts$/, concurrency: 1, fileMinutes: 30 },
  engine: { suffix: /\.engine\.test\.ts$/, concurrency: 1, hasEngines: true },
  browser: { suffix: /\.browser\.test\.ts$/, concurrency: 1 },
  // Each starts the clusters that it needs, and stops them: one at a time.
  real: { suffix: /\.real\.test\.ts$/, concurrency: 1, fileMinutes: 30 },
  "corpus-all": {
    suffix: /^corpus\/corpus\.local\.test\.ts$/,
    concurrency: 1,
    env: { SLIPWAY_CORPUS_WIDE: "1" },
    fileMinutes: 180,
  },
  "real-all": {
    suffix: /\.real\.test\.ts$/,
    concurrency: 1,
    env: { SLIPWAY_REAL_WIDE: "1" },
    fileMinutes: 180,
  },
};

const lanes = process.argv.slice(2);
const all = globSync(
  folders.map((folder) => `${folder}/**/*.test.ts`),
  {
    cwd: root,
    exclude: (path) => path.includes("node_modules"),
  },
).sort();
const totals = { pass: 0, fail: 0, skipped: 0 };
/** What the reporter said of each failure, to be said again at the end: lanes are long. */
const failures: string[] = [];

for (const lane of lanes) {
  const rule = suffixes[lane];
  if (rule === undefined) {
    console.error(`test: no lane "${lane}". Known: ${Object.keys(suffixes).join(", ")}`);
    process.exit(2);
  }
  const files = all.filter((file) => rule.suffix.test(file));
  console.log(`\n── lane ${lane}: ${files.length} files ──`);
  const pairs = files.filter((file) => rule.inPairs?.test(file));
  const turn = (file: string): number => (rule.longest?.test(file) ? 0 : 1);
  pairs.sort((one, other) => turn(one) - turn(other));
  const counts = await runLane(
    files.filter((file) => !pairs.includes(file)),
    rule.concurrency,
    rule,
  );
  const more = await runLane(pairs, 2, rule);
  totals.pass += counts.pass + more.pass;
  totals.fail += counts.fail + more.fail;
  totals.skipped += counts.skipped + more.skipped;
  if (counts.pass + counts.fail + more.pass + more.fail === 0) {
    totals.fail += 1;
    console.error(`test: lane ${lane} ran no test`);
  }
}

if (process.env["CI"] && totals.skipped > 0) {
  console.error(`test: ${totals.skipped} skipped tests; in CI a skipped test is a failure`);
  totals.fail += totals.skipped;
}
if (failures.length > 0) console.log(`\n── what failed ──\n${failures.join("\n")}`);
console.log(`\n${totals.pass} passed, ${totals.fail} failed, ${totals.skipped} skipped`);
process.exitCode = totals.fail > 0 ? 1 : 0;

/** One process that runs them all; the counts come from its last line, the text goes through as it is. */
function runLane(
  files: readonly string[],
  concurrency: number,
  { env = {}, hasEngines = false, fileMinutes = FILE_MINUTES }: Lane,
): Promise<{ pass: number; fail: number; skipped: number }> {
  return new Promise((resolve, reject) => {
    if (files.length === 0) return resolve({ pass: 0, fail: 0, skipped: 0 });
    const child = spawn(
      process.execPath,
      [
        ...(hasEngines ? ["scripts/engines.ts", process.execPath] : []),
        "--disable-warning=ExperimentalWarning",
        "scripts/files.ts",
        String(concurrency),
        String(fileMinutes * 60_000),
        ...files,
      ],
      {
        cwd: root,
        stdio: ["ignore", "pipe", "inherit"],
        env: {
          ...process.env,
          // What is tested must not depend on which engines this machine happens to have.
          ...(hasEngines ? {} : { SLIPWAY_BUILDER: "slipway" }),
          ...env,
          NODE_ENV: "test",
          // The sources are what is tested; that the bundle does the same is a test of its own.
          SLIPWAY_SOURCES: "1",
          PATH: `${dirname(process.execPath)}:${process.env["PATH"] ?? ""}`,
        },
      },
    );
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      process.stdout.write(chunk);
      text += chunk;
    });
    child.on("error", reject);
    child.on("close", (code) => {
      const summary = /lane: (\d+) passed, (\d+) failed, (\d+) skipped/.exec(text);
      const counts = {
        pass: Number(summary?.[1] ?? 0),
        fail: Number(summary?.[2] ?? 0),
        skipped: Number(summary?.[3] ?? 0),
      };
      // A failure is `✗ file:line  name` and its error, indented; `✗ file  n tests` is the file's own line.
      failures.push(...(text.match(/^✗ \S+:\d+ {2}.*(?:\n {4}.*){0,12}/gm) ?? []));
      if (code !== 0 && counts.fail === 0) counts.fail = 1;
      resolve(counts);
    });
  });
}
