/**
 * Decides what one line is: a request, something an application says, or a request that cannot be read. Knows which
 * format the lines of its stream have: found by the first lines that look like requests, kept, looked for again when ten
 * in a row could not be read.
 */
import type { LineBatch } from "./batch.ts";
import type { ParseContext } from "./context.ts";
import type { JsonFormat, TextFormat } from "./format.ts";
import { type JsonObject, readJsonRequest } from "./json-request.ts";
import { parseObject } from "./json-text.ts";
import { plainLine, type Said, structuredLine } from "./log-line.ts";
import { redactText } from "./redact-text.ts";
import type { RouteTable } from "./route.ts";
import type { SourceLabels } from "./source.ts";
import { Times } from "./time.ts";

/** So many lines that look like requests are tried with every format when the known one does not fit. */
const LEARNING_LINES = 100;
const MISSES = 10;
const BRACE = 123;

/** Where a line came from, for what is kept as it came. One object for all lines of a parser. */
export interface LineOrigin {
  bytes: Buffer;
  start: number;
  end: number;
  /** In the stream. */
  position: number;
}

export class LineReader {
  readonly #context: ParseContext;
  readonly #labels: SourceLabels;
  readonly #source: number;
  readonly #routes: RouteTable;
  readonly #times = new Times();
  readonly #json: JsonFormat | undefined;
  readonly #configured: TextFormat | undefined;
  #format: TextFormat | undefined;
  #learning = LEARNING_LINES;
  #misses = 0;
  readonly #behindEdge = new Map<string, { readonly source: number; readonly routes: RouteTable }>();

  constructor(labels: SourceLabels, context: ParseContext) {
    this.#context = context;
    this.#labels = labels;
    this.#source = context.sourceOf(labels);
    this.#routes = context.routesOf(labels.service);
    const configured = context.formatOf(labels.container);
    this.#json = configured?.kind === "json" ? configured : undefined;
    this.#configured = configured?.kind === "text" ? configured : undefined;
    this.#format = this.#configured;
  }

  /** Name of the format that lines have at the moment. */
  get format(): string | undefined {
    return this.#format?.name;
  }

  get source(): number {
    return this.#source;
  }

  /**
   * Puts one line into the batch, in one of its three parts. `ts`: when it was written, NaN when only the line knows.
   * `text` from `start` to `end` is the line without its end.
   */
  take(
    text: string,
    start: number,
    end: number,
    ts: number,
    isStderr: boolean,
    origin: LineOrigin,
    batch: LineBatch,
  ): void {
    if (text.charCodeAt(start) === BRACE) {
      this.#object(text.slice(start, end), ts, isStderr, origin, batch);
      return;
    }
    const { row, rows, texts } = this.#context;
    let problem = "format";
    if (this.#format !== undefined) {
      problem = texts.read(this.#format, this.#times, text, start, end, row);
      if (problem === "") {
        this.#misses = 0;
        if (Number.isNaN(row.ts)) row.ts = this.#timeOr(ts);
        rows.write(row, this.#source, this.#routes, batch.access);
        return;
      }
    }
    if (problem === "format" && !looksLikeRequest(text, start, end)) {
      this.#say(plainLine(text.slice(start, end)), ts, isStderr, batch);
      return;
    }
    this.#misses += 1;
    if (this.#misses >= MISSES && this.#learning === 0) this.#learning = LEARNING_LINES;
    if (this.#learning > 0) {
      this.#learning -= 1;
      if (this.#learn(text, start, end)) {
        this.#misses = 0;
        if (Number.isNaN(row.ts)) row.ts = this.#timeOr(ts);
        rows.write(row, this.#source, this.#routes, batch.access);
        return;
      }
    }
    this.#quarantine(problem, ts, origin, batch);
  }

  /**
   * Puts the line that begins at `start` into the batch if it is a usual one of the format that lines have, and answers
   * where its newline is; -1: it is for `take`.
   */
  takeUsual(view: DataView, start: number, batch: LineBatch): number {
    const format = this.#format;
    if (format === undefined || !format.isCombined) return -1;
    const { combined } = this.#context;
    const end = combined.read(format, this.#times, view, start, this.#source, this.#routes, batch.access);
    if (end >= 0) this.#misses = 0;
    return end;
  }

  quarantine(reason: string, ts: number, origin: LineOrigin, batch: LineBatch): void {
    this.#quarantine(reason, ts, origin, batch);
  }

  /** Tries every other format; the first that reads the line is the one from now on. */
  #learn(text: string, start: number, end: number): boolean {
    const { named, row, texts } = this.#context;
    const candidates = this.#configured === undefined ? named : [this.#configured, ...named];
    for (const candidate of candidates) {
      if (candidate === this.#format) continue;
      if (texts.read(candidate, this.#times, text, start, end, row) !== "") continue;
      this.#format = candidate;
      return true;
    }
    return false;
  }

  #object(line: string, ts: number, isStderr: boolean, origin: LineOrigin, batch: LineBatch): void {
    const entry = parseObject(line);
    if (entry === undefined) {
      if (looksLikeJsonRequest(line)) this.#quarantine("json", ts, origin, batch);
      else this.#say(plainLine(line), ts, isStderr, batch);
      return;
    }
    const { row, rows } = this.#context;
    const problem = readJsonRequest(entry, this.#json, this.#times, row);
    if (problem === "none") this.#say(structuredLine(entry, line, this.#times), ts, isStderr, batch);
    else if (problem !== "") this.#quarantine(problem, ts, origin, batch);
    else {
      if (Number.isNaN(row.ts)) row.ts = this.#timeOr(ts);
      const { source, routes } =
        this.#labels.origin === "edge"
          ? this.#sourceBehindEdge(entry)
          : { source: this.#source, routes: this.#routes };
      rows.write(row, source, routes, batch.access);
    }
  }

  /** The edge says of each request which pod answered it. */
  #sourceBehindEdge(entry: JsonObject): { readonly source: number; readonly routes: RouteTable } {
    const [cluster = "", pod = "", service = "", commit = ""] = ["cluster", "pod", "service", "release"].map(
      (key) => (typeof entry[key] === "string" ? (entry[key] as string) : ""),
    );
    const key = `${cluster}\0${pod}\0${service}\0${commit}`;
    const known = this.#behindEdge.get(key);
    if (known !== undefined) return known;
    const labels = {
      ...this.#labels,
      cluster,
      pod,
      service: service === "" ? this.#labels.service : service,
      commit,
    };
    const made = { source: this.#context.sourceOf(labels), routes: this.#context.routesOf(labels.service) };
    this.#behindEdge.set(key, made);
    return made;
  }

  #say(said: Said, ts: number, isStderr: boolean, batch: LineBatch): void {
    batch.logs.push({
      // The runtime's time is when it was written; what the application says of itself may be anything.
      ts: Number.isNaN(ts) ? this.#timeOr(said.ts) : ts,
      source: this.#source,
      stream: isStderr ? "stderr" : "stdout",
      severity: said.severity,
      text: this.#redacted(own(said.text)),
    });
  }

  #quarantine(reason: string, ts: number, origin: LineOrigin, batch: LineBatch): void {
    const raw = origin.bytes.toString("latin1", origin.start, origin.end);
    batch.quarantine.push({
      ts: this.#timeOr(ts),
      source: this.#source,
      position: origin.position,
      raw: Buffer.from(this.#redacted(raw), "latin1"),
      reason,
    });
  }

  #redacted(text: string): string {
    const { redactor } = this.#context;
    return redactText(redactor.apply(text), redactor.further);
  }

  #timeOr(ts: number): number {
    return Number.isNaN(ts) ? this.#context.now() : ts;
  }
}

/** A copy, because a slice keeps its whole chunk alive and log lines outlive it. */
function own(text: string): string {
  return text.length < 13 ? text : Buffer.from(text, "utf8").toString("utf8");
}

/** The time of nginx's text formats, near the beginning: `[05/Jan/2026:`. */
function looksLikeRequest(text: string, start: number, end: number): boolean {
  const last = Math.min(end - 12, start + 512);
  for (let at = start; at < last; at += 1) {
    if (text.charCodeAt(at) !== 91) continue;
    const isTime =
      text.charCodeAt(at + 3) === 47 && text.charCodeAt(at + 7) === 47 && text.charCodeAt(at + 12) === 58;
    if (isTime) return true;
  }
  return false;
}

function looksLikeJsonRequest(line: string): boolean {
  if (line.includes('"httpRequest"') || line.includes("/http_request")) return true;
  return (
    /"status(?:_code)?"\s*:/.test(line) && /"(?:request|uri|url|path|request_(?:uri|method))"\s*:/.test(line)
  );
}
