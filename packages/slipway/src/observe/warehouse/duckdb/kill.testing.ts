/**
 * Kills a process that stores a log at random moments, starts it again, and compares what is stored in the end with
 * what was written: each line once, whatever the moment. For the local lane and the benchmark.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Random, seededRandom, systemClock } from "@slipway/base";
import { openWarehouse } from "./open.ts";

export interface KillOptions {
  readonly kills: number;
  /** Of each log. */
  readonly lines: number;
  readonly seed: number;
  readonly onRound?: (round: Round) => void;
}

export interface Round {
  readonly how: "commits" | "import";
  readonly kills: number;
  /** What should be stored, and what is: see `SUMS`. */
  readonly expected: readonly unknown[];
  readonly stored: readonly unknown[];
}

const SUMS = `SELECT
  (SELECT count(*) FROM access), (SELECT sum(status) FROM access), (SELECT sum(bytes) FROM access),
  (SELECT sum(rt_ms) FROM access), (SELECT count(DISTINCT path) FROM access), (SELECT count(DISTINCT ua) FROM access),
  (SELECT sum(n) FROM rollup), (SELECT sum(bytes) FROM rollup),
  (SELECT count(*) FROM logs), (SELECT sum(length(text)) FROM logs), (SELECT count(*) FROM quarantine)`;

export async function killRounds(options: KillOptions): Promise<readonly Round[]> {
  const random = seededRandom(options.seed);
  const root = mkdtempSync(join(tmpdir(), "slipway-kill-"));
  const rounds: Round[] = [];
  /** How long a whole run takes, as far as is known: kills are spread over it. */
  const spanMs = { commits: 1500, import: 1500 };
  try {
    for (let kills = 0; kills < options.kills; ) {
      const how = rounds.length % 2 === 0 ? "commits" : "import";
      const folder = join(root, String(rounds.length));
      const { text, expected } = logOf(random, options.lines);
      const file = join(root, "access.log");
      writeFileSync(file, text);
      let killed = 0;
      for (;;) {
        const isLast = kills + killed >= options.kills;
        const afterMs = isLast ? undefined : random.int(Math.ceil(spanMs[how]));
        const run = await runOnce([folder, file, how], afterMs);
        if (run.isDone) {
          spanMs[how] = Math.max(100, run.ms);
          break;
        }
        killed += 1;
        // A machine that has become busier must not keep a log from ever being stored.
        spanMs[how] *= 1.1;
      }
      kills += killed;
      const warehouse = await openWarehouse({ folder, keepForMs: 1e13 });
      const { rows } = await warehouse.query(SUMS);
      await warehouse.close();
      const round = { how, kills: killed, expected, stored: rows[0] ?? [] } as const;
      rounds.push(round);
      options.onRound?.(round);
      rmSync(folder, { recursive: true, force: true });
    }
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
  return rounds;
}

/** Killed so long after it has begun; undefined: left alone. Rejects when it fails by itself. */
function runOnce(
  args: readonly string[],
  afterMs: number | undefined,
): Promise<{ isDone: boolean; ms: number }> {
  return new Promise((resolve, reject) => {
    const script = join(import.meta.dirname, "killed.testing.ts");
    const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", script, ...args], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let begun: number | undefined;
    let said = "";
    const ended = new AbortController();
    child.stdout.on("data", (chunk) => {
      said += String(chunk);
      if (begun !== undefined || !said.includes("begun")) return;
      begun = systemClock.monotonic();
      if (afterMs === undefined) return;
      systemClock.sleep(afterMs, ended.signal).then(
        () => child.kill("SIGKILL"),
        () => undefined,
      );
    });
    child.on("error", reject);
    // Not its exit: what it said last may still be on its way.
    child.on("close", (code, signal) => {
      ended.abort();
      const ms = systemClock.monotonic() - (begun ?? 0);
      if (said.includes("done")) resolve({ isDone: true, ms });
      else if (signal === "SIGKILL") resolve({ isDone: false, ms });
      else reject(new Error(`ended with ${code ?? signal}`));
    });
  });
}

/** Requests, a few lines of an application among them, and what must come out of them. */
function logOf(random: Random, count: number): { text: string; expected: readonly unknown[] } {
  const begin = Date.UTC(2026, 0, 5);
  const stepMs = 86_400_000 / count;
  const sums = { requests: 0, status: 0, bytes: 0, ms: 0, logs: 0, logLength: 0 };
  const paths = new Set<string>();
  const agents = new Set<string>();
  const lines: string[] = [];
  for (let index = 0; index < count; index += 1) {
    if (index > 200 && random.ratio(1, 500)) {
      const said = `worker ${index} started`;
      sums.logs += 1;
      sums.logLength += said.length;
      lines.push(said);
      continue;
    }
    const at = new Date(begin + Math.floor(index * stepMs)).toISOString();
    const time = `05/Jan/2026:${at.slice(11, 19)} +0000`;
    const status = random.pick([200, 200, 200, 304, 404, 502]);
    const bytes = random.int(90_000);
    const ms = random.int(3000);
    const path = `/recipes/${random.int(20_000)}?page=${random.int(9)}`;
    const agent = `agent/${random.int(300)}`;
    const seconds = `${Math.floor(ms / 1000)}.${String(ms % 1000).padStart(3, "0")}`;
    lines.push(
      `203.0.113.${random.int(250)} - - [${time}] "GET ${path} HTTP/1.1" ${status} ${bytes} "-" "${agent}" ${seconds} ${seconds}`,
    );
    sums.requests += 1;
    sums.status += status;
    sums.bytes += bytes;
    sums.ms += ms;
    paths.add(path);
    agents.add(agent);
  }
  const { requests, status, bytes, ms, logs, logLength } = sums;
  const expected = [
    requests,
    status,
    bytes,
    ms,
    paths.size,
    agents.size,
    requests,
    bytes,
    logs,
    logLength,
    0,
  ];
  return { text: `${lines.join("\n")}\n`, expected };
}
