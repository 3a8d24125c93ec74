/**
 * How fast lines become columns: three million lines of an nginx log, with detection, redaction and routes, on one core;
 * beside it mawk, which only counts them, and mawk that counts by minute and status class. Writes results/parse.md.
 *
 *   node bench/parse.bench.ts [rounds, 3] [lines, 3000000]
 */
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { renderTable, writeAtomic } from "../packages/base/src/index.ts";
import { ParseContext } from "../packages/slipway/src/observe/access/context.ts";
import { Dictionary } from "../packages/slipway/src/observe/access/dictionary.ts";
import {
  clearLineBatch,
  hasNoRoom,
  LineParser,
  newLineBatch,
} from "../packages/slipway/src/observe/access/parser.ts";
import { accessLogFile, THREE_MILLION } from "./access-fixture.ts";
import { MISSED_GOAL, machineLine, resultFile } from "./machine.ts";

const GOAL_PER_SECOND = 2_000_000;
const rounds = Number(process.argv[2] ?? 3);
const lines = Number(process.argv[3] ?? THREE_MILLION.lines);

interface Figure {
  readonly what: string;
  /** User and system, one number per round. */
  readonly cpuSeconds: readonly number[];
}

function parse(file: string): number {
  const dictionaries = {
    referer: new Dictionary("referer", 50_000),
    userAgent: new Dictionary("userAgent", 50_000),
    route: new Dictionary("route", 50_000),
  };
  const context = new ParseContext({ sourceOf: () => 1, dictionaries, now: () => 0 });
  const labels = {
    origin: "import" as const,
    cluster: "bench",
    namespace: "",
    node: "",
    pod: "",
    container: "",
    service: "web",
    release: 0,
    commit: "",
  };
  const parser = new LineParser({ key: "bench", labels, framing: "plain" }, context, 0);
  const batch = newLineBatch(10_000);
  const chunk = Buffer.alloc(1_048_576);
  const input = openSync(file, "r");
  const before = process.cpuUsage();
  try {
    for (let read = readSync(input, chunk); read > 0; read = readSync(input, chunk)) {
      for (let at = 0; at < read; ) {
        at += parser.feed(chunk.subarray(at, read), batch);
        if (hasNoRoom(batch)) clearLineBatch(batch);
      }
    }
  } finally {
    closeSync(input);
  }
  const { user, system } = process.cpuUsage(before);
  if (parser.counts.access !== lines)
    throw new Error(`of ${lines} lines ${parser.counts.access} became requests`);
  return (user + system) / 1e6;
}

/** CPU seconds of another program, by the shell's own `times`. Undefined where it is not installed. */
function peer(program: string, file: string): number | undefined {
  const script = 'mawk "$1" "$2" >/dev/null && times';
  const { status, stdout } = spawnSync("sh", ["-c", script, "sh", program, file], { encoding: "utf8" });
  if (status !== 0) return undefined;
  const children = (stdout.trim().split("\n")[1] ?? "").match(/(\d+)m([\d.]+)s/g) ?? [];
  return children.reduce((sum, time) => {
    const [minutes = "0", seconds = "0"] = time.slice(0, -1).split("m");
    return sum + Number(minutes) * 60 + Number(seconds);
  }, 0);
}

function measure(what: string, work: () => number | undefined): Figure | undefined {
  const cpuSeconds: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const spent = work();
    if (spent === undefined) return undefined;
    cpuSeconds.push(spent);
  }
  return { what, cpuSeconds };
}

const BY_MINUTE =
  '{ c[substr($4, 2, 17) " " substr($9, 1, 1)]++; s += $NF } END { for (k in c) n++; print n, s }';

const directory = mkdtempSync(join(tmpdir(), "slipway-bench-parse-"));
let figures: readonly (Figure | undefined)[];
try {
  const file = accessLogFile(join(directory, "access"), { ...THREE_MILLION, lines });
  figures = [
    measure("slipway: columns, routes, redaction", () => parse(file)),
    measure("mawk: lines", () => peer("END { print NR }", file)),
    measure("mawk: minute and status class", () => peer(BY_MINUTE, file)),
  ];
} finally {
  rmSync(directory, { recursive: true, force: true });
}

const best = (figure: Figure): number => Math.min(...figure.cpuSeconds);
const perSecond = (seconds: number): string => Math.round(lines / seconds).toLocaleString("en");
const known = figures.filter((figure) => figure !== undefined);
const table = renderTable([
  ["what", "CPU s, each round", "lines/s of one core, best round"],
  ...known.map((figure) => [
    figure.what,
    figure.cpuSeconds.map((seconds) => seconds.toFixed(2)).join(" "),
    perSecond(best(figure)),
  ]),
]);
const own = best(known[0] as Figure);
const head = [
  `${lines.toLocaleString("en")} lines of an nginx log, ${rounds} rounds (goal: ${GOAL_PER_SECOND.toLocaleString("en")} lines/s of one core)`,
  "CPU seconds, not wall time; on a busy machine they grow too, so compare with mawk in the same run",
  machineLine(),
];
const page = ["# Parsing access logs", "", ...head.map((line) => `- ${line}`), "", "```", table, "```", ""];
console.log(page.join("\n"));
await writeAtomic(resultFile("parse"), page.join("\n"));
if (lines / own < GOAL_PER_SECOND) {
  console.error(
    `${perSecond(own)} lines/s of one core are fewer than ${GOAL_PER_SECOND.toLocaleString("en")}`,
  );
  process.exitCode = MISSED_GOAL;
}
