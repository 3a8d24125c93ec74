/** One request on its way into the batch: readers fill it, `RowWriter` stores it, and it is used again for the next. */
import { type AccessBatch, type Dictionaries, NO_TIME } from "./batch.ts";
import { clientAddress, truncateAddress } from "./ip.ts";
import type { Redactor } from "./redact.ts";
import type { RouteTable } from "./route.ts";

export class Row {
  ts = 0;
  ip = "-";
  method = 0;
  path = "-";
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
    this.path = "-";
    this.protocol = 0;
    this.status = -1;
    this.bytes = 0;
    this.referer = "-";
    this.userAgent = "-";
    this.time = NO_TIME;
    this.upstreamTime = NO_TIME;
    this.attempts = 0;
  }
}

/** Referers seen as they came → their id; made empty when it is full. */
const MAX_REFERERS = 20_000;

export class RowWriter {
  readonly #dictionaries: Dictionaries;
  readonly #redactor: Redactor;
  readonly #truncateIp: boolean;
  readonly #referers = new Map<string, number>();

  constructor(dictionaries: Dictionaries, redactor: Redactor, truncateIp: boolean) {
    this.#dictionaries = dictionaries;
    this.#redactor = redactor;
    this.#truncateIp = truncateIp;
  }

  write(row: Row, source: number, routes: RouteTable, batch: AccessBatch): void {
    const at = batch.length;
    const query = row.path.indexOf("?");
    const path = query < 0 ? row.path : row.path.slice(0, query);
    batch.ts[at] = row.ts;
    batch.source[at] = source;
    batch.ip[at] = this.#address(row.ip);
    batch.method[at] = row.method;
    batch.path[at] = query < 0 ? row.path : this.#redactor.apply(row.path, query);
    batch.protocol[at] = row.protocol;
    batch.status[at] = row.status;
    batch.bytes[at] = row.bytes;
    batch.referer[at] = this.#refererId(row.referer);
    batch.userAgent[at] = this.#dictionaries.userAgent.idOf(row.userAgent);
    batch.route[at] = routes.idOf(path, row.status);
    batch.time[at] = Math.min(row.time, NO_TIME);
    batch.upstreamTime[at] = Math.min(row.upstreamTime, NO_TIME);
    batch.attempts[at] = row.attempts;
    batch.length = at + 1;
  }

  #address(written: string): string {
    const address = written.length > 15 ? clientAddress(written) : written;
    return this.#truncateIp ? truncateAddress(address) : address;
  }

  #refererId(referer: string): number {
    const known = this.#referers.get(referer);
    if (known !== undefined) return known;
    if (this.#referers.size >= MAX_REFERERS) this.#referers.clear();
    const id = this.#dictionaries.referer.idOf(this.#redactor.apply(referer));
    this.#referers.set(Buffer.from(referer, "utf8").toString("utf8"), id);
    return id;
  }
}
