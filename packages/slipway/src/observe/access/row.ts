/** One request on its way into the batch: readers fill it, `RowWriter` stores it, and it is used again for the next. */
import { type AccessBatch, type Dictionaries, NO_TIME, timeOf } from "./batch.ts";
import { clientAddress, isPlain, MAX_ADDRESS, truncateAddress } from "./ip.ts";
import type { Redactor } from "./redact.ts";
import { redactText } from "./redact-text.ts";
import type { RouteTable } from "./route.ts";

export class Row {
  ts = 0;
  ip = "-";
  method = 0;
  /** The path with its query is `text` from `pathStart` to `pathEnd`. */
  text = "-";
  pathStart = 0;
  pathEnd = 1;
  protocol = 0;
  status = 0;
  bytes = 0;
  referer = "-";
  userAgent = "-";
  time = NO_TIME;
  upstreamTime = NO_TIME;
  attempts = 0;

  reset(): void {
    this.ts = Number.NaN;
    this.ip = "-";
    this.method = 0;
    this.setPath("-", 0, 1);
    this.protocol = 0;
    this.status = -1;
    this.bytes = 0;
    this.referer = "-";
    this.userAgent = "-";
    this.time = NO_TIME;
    this.upstreamTime = NO_TIME;
    this.attempts = 0;
  }

  setPath(text: string, start: number, end: number): void {
    this.text = text;
    this.pathStart = start;
    this.pathEnd = end;
  }
}

/** Longer user agents and referers are cut, or whoever sends requests fills the memory with 50,000 of 8 kB. */
const MAX_VALUE = 500;

/** Referers seen as they came → their id; made empty when it is full. */
const MAX_REFERERS = 20_000;

export class RowWriter {
  readonly #dictionaries: Dictionaries;
  readonly #redactor: Redactor;
  readonly #truncateIp: boolean;
  readonly #noReferer: number;
  readonly #referers = new Map<string, number>();

  constructor(dictionaries: Dictionaries, redactor: Redactor, truncateIp: boolean) {
    this.#dictionaries = dictionaries;
    this.#redactor = redactor;
    this.#truncateIp = truncateIp;
    this.#noReferer = dictionaries.referer.idOf("-");
  }

  write(row: Row, source: number, routes: RouteTable, batch: AccessBatch): void {
    const at = batch.length;
    const path = row.text.slice(row.pathStart, row.pathEnd);
    batch.ts[at] = row.ts;
    batch.source[at] = source;
    batch.ip.set(at, this.#address(row.ip));
    batch.method[at] = row.method;
    batch.protocol[at] = row.protocol;
    batch.status[at] = row.status;
    batch.bytes[at] = row.bytes;
    batch.referer[at] = this.refererId(row.referer);
    batch.userAgent[at] = this.userAgentId(row.userAgent);
    batch.route[at] = routes.idOfText(path, row.status);
    batch.path.set(at, this.#redactor.apply(path));
    batch.time[at] = timeOf(row.time);
    batch.upstreamTime[at] = timeOf(row.upstreamTime);
    batch.attempts[at] = row.attempts;
    batch.length = at + 1;
  }

  #address(written: string): string {
    const isAddress = written.length > 0 && written.length <= MAX_ADDRESS && isPlain(written);
    const address = isAddress ? written : clientAddress(written);
    return this.#truncateIp ? truncateAddress(address) : address;
  }

  /** Of the referer as it came; it is redacted once. */
  refererId(referer: string): number {
    if (referer.length === 1 && referer === "-") return this.#noReferer;
    if (referer.length > MAX_VALUE)
      return this.#dictionaries.referer.idOf(short(this.#redactor.apply(referer)));
    const known = this.#referers.get(referer);
    if (known !== undefined) return known;
    if (this.#referers.size >= MAX_REFERERS) this.#referers.clear();
    const id = this.#dictionaries.referer.idOf(this.#redactor.apply(referer));
    this.#referers.set(Buffer.from(referer, "utf8").toString("utf8"), id);
    return id;
  }

  /** Nearly none has a `=`, and nothing is secret in one without. */
  userAgentId(userAgent: string): number {
    const stored = userAgent.includes("=") ? this.#withoutSecrets(userAgent) : userAgent;
    return this.#dictionaries.userAgent.idOf(short(stored));
  }

  #withoutSecrets(text: string): string {
    return redactText(this.#redactor.apply(text), this.#redactor.further);
  }
}

function short(value: string): string {
  return value.length <= MAX_VALUE ? value : `${value.slice(0, MAX_VALUE)}…`;
}
