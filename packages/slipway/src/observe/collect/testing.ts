/** For tests: a warehouse in memory that may refuse, a reader of lines, and whoever writes logs and rotates them. */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { gzipSync } from "node:zlib";
import type { Dictionaries, LogLine } from "../access/batch.ts";
import { Dictionary } from "../access/dictionary.ts";
import type { SourceLabels } from "../access/source.ts";
import type { Commit, Gap, Warehouse } from "../warehouse/warehouse.ts";
import type { LineReader } from "./collector.ts";
import type { LogOrigin } from "./passage.ts";

export interface MemoryWarehouse extends Warehouse {
  readonly logs: LogLine[];
  readonly gaps: Gap[];
  readonly sources: readonly SourceLabels[];
  /** Called before each commit; throws to refuse it. */
  beforeCommit: () => void;
}

export function memoryWarehouse(): MemoryWarehouse {
  const dictionaries: Dictionaries = {
    referer: new Dictionary("referer", 100),
    userAgent: new Dictionary("userAgent", 100),
    route: new Dictionary("route", 100),
  };
  const offsets = new Map<string, number>();
  const sources: SourceLabels[] = [];
  let committed = 0;
  const warehouse: MemoryWarehouse = {
    dictionaries,
    logs: [],
    gaps: [],
    sources,
    beforeCommit: () => {},
    sourceOf(labels) {
      const found = sources.findIndex((one) => JSON.stringify(one) === JSON.stringify(labels));
      return found >= 0 ? found + 1 : sources.push(labels);
    },
    async relabel(changes) {
      for (const { source, release, commit } of changes)
        sources[source - 1] = { ...(sources[source - 1] as SourceLabels), release, commit };
    },
    offsetOf: (stream) => offsets.get(stream) ?? 0,
    streams: async () => [],
    forgetStreams: async (streams) => streams.forEach((stream) => void offsets.delete(stream)),
    async commit({ lines, offsets: moved, gaps = [] }: Commit) {
      warehouse.beforeCommit();
      warehouse.logs.push(...lines.logs);
      warehouse.gaps.push(...gaps);
      for (const { stream, position } of moved) offsets.set(stream, position);
      committed += 1;
    },
    recordReleases: async () => {},
    query: () => Promise.reject(new Error("keeps no tables")),
    figures: () => ({
      access: 0,
      logs: warehouse.logs.length,
      quarantine: 0,
      gaps: warehouse.gaps.length,
      bytes: 0,
      oldestMs: undefined,
      newestMs: undefined,
      committed,
      problem: undefined,
    }),
    onCommit: () => {},
    tidy: async () => {},
    close: async () => {},
  };
  return warehouse;
}

/** Every line is a log line; the parts of a CRI line are one. */
export function lineReader(framing: "cri" | "plain", source: number): LineReader {
  return {
    read(bytes, _position, isEnd, into) {
      const text = Buffer.from(bytes).toString("latin1");
      let [taken, at, held] = [0, 0, ""];
      const add = (line: string): void =>
        void into.logs.push({ ts: 0, source, stream: "stdout", severity: "", text: line });
      for (;;) {
        const newline = text.indexOf("\n", at);
        if (newline < 0) break;
        const line = text.slice(at, newline);
        at = newline + 1;
        const part = framing === "plain" ? undefined : /^\S+ stdout ([FP]) (.*)$/s.exec(line);
        held += part === undefined || part === null ? line : (part[2] as string);
        if (part?.[1] === "P") continue;
        add(held);
        [held, taken] = ["", at];
      }
      const rest = held + text.slice(at);
      if (!isEnd || taken === text.length) return taken;
      add(rest);
      return text.length;
    },
  };
}

export function podLog(changes: Partial<LogOrigin> = {}): LogOrigin {
  return {
    origin: "pod",
    cluster: "osaka",
    node: "",
    namespace: "",
    pod: "",
    podUid: "uid-1",
    container: "web",
    attempt: 0,
    framing: "cri",
    ...changes,
  };
}

export function labelsFor(log: LogOrigin): SourceLabels {
  const { origin, cluster, namespace, node, container } = log;
  return {
    ...{ origin, cluster, namespace, node, container },
    ...{ pod: log.podUid, service: "web", release: 0, commit: "" },
  };
}

/** Writes one log and rotates it as the node agent does, as kubelet does, or as copytruncate does. */
export class TestLog {
  readonly path: string;
  #tick = 0;

  constructor(path: string) {
    this.path = path;
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, "", { flag: "a" });
  }

  /** A CRI line, whole or (`P`) a part of one. */
  line(text: string, tag: "F" | "P" = "F"): void {
    this.raw(`${this.#stamp()} stdout ${tag} ${text}\n`);
  }

  raw(text: string): void {
    appendFileSync(this.path, text);
  }

  /** `.1` is the newest of the old ones; at most `keep` of them. */
  rotate(keep = 4): void {
    rmSync(`${this.path}.${keep}`, { force: true });
    for (let age = keep - 1; age >= 1; age -= 1)
      if (existsSync(`${this.path}.${age}`)) renameSync(`${this.path}.${age}`, `${this.path}.${age + 1}`);
    renameSync(this.path, `${this.path}.1`);
    writeFileSync(this.path, "");
  }

  /** As kubelet: by time, the one before is compressed, `keep` stay. */
  rotateByTime(old: string[], keep = 4): void {
    const time = String(20260101 + Math.floor(this.#tick / 1_000_000));
    this.#tick += 1;
    const name = `${this.path}.${time}-${String(this.#tick % 1_000_000).padStart(6, "0")}`;
    const last = old.at(-1);
    if (last !== undefined && !last.endsWith(".gz") && existsSync(last)) {
      writeFileSync(`${last}.tmp`, gzipSync(readFileSync(last)));
      renameSync(`${last}.tmp`, `${last}.gz`);
      rmSync(last);
      old[old.length - 1] = `${last}.gz`;
    }
    renameSync(this.path, name);
    writeFileSync(this.path, "");
    old.push(name);
    while (old.length > keep) rmSync(old.shift() as string, { force: true });
  }

  #stamp(): string {
    this.#tick += 1;
    return `2026-01-01T00:00:00.${String(this.#tick).padStart(9, "0")}Z`;
  }
}
