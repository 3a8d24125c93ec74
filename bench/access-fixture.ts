/**
 * A generated access log for the benchmarks of what is observed: nginx's `combined` with `$request_time
 * $upstream_response_time`, the lines spread evenly over whole days. Seeded: the same numbers give the same bytes.
 *
 * Of 3,000,000 lines in one day: about 258 bytes a line, 710,000 distinct requests, 174,000 addresses (5 % IPv6), 1,200
 * user agents, 2,000 referers, 2 % with several upstreams, 0.05 % garbage as the internet sends it.
 *
 *   node bench/access-fixture.ts FILE [lines, 3000000] [days, 1] [seed, 1]
 */
import { closeSync, openSync, statSync, writeSync } from "node:fs";
import { type Random, seededRandom } from "../packages/base/src/index.ts";

export interface AccessFixture {
  readonly lines: number;
  readonly days: number;
  readonly seed: number;
  /** Of the first line, ms since the epoch; a whole day in UTC. */
  readonly startMs: number;
}

export const THREE_MILLION: AccessFixture = {
  lines: 3_000_000,
  days: 1,
  seed: 1,
  startMs: Date.UTC(2026, 0, 5),
};

/** Chunks of about 1 MB that end with a whole line. */
export function* accessLog(fixture: AccessFixture = THREE_MILLION): Generator<Buffer> {
  const draw = new Draw(fixture.seed);
  const stepMs = (fixture.days * 86_400_000) / fixture.lines;
  let text = "";
  for (let index = 0; index < fixture.lines; index += 1) {
    text += draw.line(fixture.startMs + Math.floor(index * stepMs));
    if (text.length > 1_000_000) {
      yield Buffer.from(text, "latin1");
      text = "";
    }
  }
  if (text !== "") yield Buffer.from(text, "latin1");
}

/** Writes it once: a file that is there is taken for the same, because the name says all that decides its content. */
export function accessLogFile(path: string, fixture: AccessFixture = THREE_MILLION): string {
  const name = `${path}-${fixture.seed}-${fixture.days}d-${fixture.lines}.log`;
  if (statSync(name, { throwIfNoEntry: false }) !== undefined) return name;
  writeTo(name, fixture);
  return name;
}

function writeTo(path: string, fixture: AccessFixture): void {
  const file = openSync(path, "w");
  try {
    for (const chunk of accessLog(fixture)) {
      for (let at = 0; at < chunk.length; ) at += writeSync(file, chunk, at);
    }
  } finally {
    closeSync(file);
  }
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WORDS = ["pasta", "soup", "salad", "curry", "bread", "cake", "stew", "risotto", "tart", "noodles"];
const PAGES = ["", "recipes", "about", "search", "login", "cart", "checkout", "profile", "help", "news"];
const GARBAGE = [
  '"\\x16\\x03\\x01\\x02\\x00\\x01\\x00\\x01\\xFC\\x03\\x03" 400 157 "-" "-" 0.091 -',
  '"" 400 0 "-" "-" 0.000 -',
  '"-" 408 0 "-" "-" 60.000 -',
  '"\\x03\\x00\\x00/*\\xE0\\x00\\x00\\x00\\x00\\x00Cookie: mstshash=Administr" 400 157 "-" "-" 0.050 -',
  '"GET /" 000 5 "-" "-" 0.000 -',
  '"CONNECT example.com:443 HTTP/1.1" 400 157 "-" "-" 0.000 -',
];

class Draw {
  readonly #random: Random;
  readonly #agents: readonly string[];
  readonly #referers: readonly string[];
  #second = -1;
  #secondText = "";

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    this.#agents = Array.from({ length: 1200 }, (_, index) => agent(index));
    this.#referers = Array.from({ length: 2000 }, (_, index) => referer(index));
  }

  line(ms: number): string {
    const before = `${this.#address()} - - [${this.#time(ms)}] `;
    if (this.#below(2000) === 0) return `${before}${GARBAGE[this.#below(GARBAGE.length)]}\n`;
    const status = this.#status();
    const size = status === 304 ? 0 : 200 + Math.floor(this.#share() ** 4 * 90_000);
    const from = this.#below(100) < 35 ? "-" : this.#referers[this.#skewed(2000)];
    return `${before}"${this.#request()}" ${status} ${size} "${from}" "${this.#agents[this.#skewed(1200)]}" ${this.#times(status)}\n`;
  }

  /** 0 to 1. */
  #share(): number {
    return this.#random.int(0x1_0000_0000) / 0x1_0000_0000;
  }

  #below(limit: number): number {
    return this.#random.int(limit);
  }

  /** Few values often, many seldom. */
  #skewed(limit: number): number {
    return Math.floor(this.#share() ** 3 * limit);
  }

  #address(): string {
    const client = Math.floor(this.#share() ** 2 * 174_000);
    if (client % 20 === 7)
      return `2001:db8:${(client & 0xffff).toString(16)}:${client >> 8}::${client % 251}`;
    return `${11 + (client % 190)}.${(client >> 4) & 255}.${(client >> 9) & 255}.${client % 254}`;
  }

  #time(ms: number): string {
    const second = Math.floor(ms / 1000);
    if (second !== this.#second) {
      const date = new Date(second * 1000);
      const clock = date.toISOString().slice(11, 19);
      this.#second = second;
      this.#secondText = `${String(date.getUTCDate()).padStart(2, "0")}/${MONTHS[date.getUTCMonth()]}/${date.getUTCFullYear()}:${clock} +0000`;
    }
    return this.#secondText;
  }

  #request(): string {
    const kind = this.#below(100);
    const word = WORDS[this.#below(WORDS.length)];
    if (kind < 34) return `GET /${PAGES[this.#below(PAGES.length)]} HTTP/1.1`;
    if (kind < 48) return `GET /static/${word}/app.${hex(this.#skewed(400) * 7919)}.js HTTP/2.0`;
    if (kind < 68) return `GET /api/recipes/${this.#skewed(360_000)}?fields=title,steps&lang=en HTTP/1.1`;
    if (kind < 80)
      return `GET /search?q=${word}+${WORDS[this.#skewed(10)]}&page=${this.#skewed(1200)} HTTP/2.0`;
    if (kind < 88)
      return `GET /recipes/${word}-with-${WORDS[this.#below(10)]}-${this.#skewed(50_000)} HTTP/1.1`;
    if (kind < 94) return `GET /api/users/${uuid(this.#skewed(200_000))}/favourites HTTP/1.1`;
    if (kind < 97) return `POST /api/recipes/${this.#skewed(90_000)}/comments HTTP/1.1`;
    if (kind < 99) return `GET /login/callback?code=${hex(this.#below(2 ** 31))}&state=${word} HTTP/1.1`;
    return `HEAD /healthz HTTP/1.1`;
  }

  #status(): number {
    const drawn = this.#below(1000);
    if (drawn < 905) return 200;
    if (drawn < 945) return 304;
    if (drawn < 965) return 302;
    if (drawn < 988) return 404;
    if (drawn < 992) return 499;
    if (drawn < 997) return 403;
    return drawn < 998 ? 500 : drawn < 999 ? 502 : 503;
  }

  #times(status: number): string {
    const ms = 1 + Math.floor(this.#share() ** 6 * 2500);
    if (status === 304) return `${seconds(ms)} -`;
    const upstream = Math.max(0, ms - this.#below(3));
    if (this.#below(50) !== 0) return `${seconds(ms)} ${seconds(upstream)}`;
    const first = this.#below(upstream + 1);
    return `${seconds(ms)} ${seconds(first)}${this.#below(4) === 0 ? " :" : ","} ${seconds(upstream - first)}`;
  }
}

const hex = (value: number): string => value.toString(16).padStart(8, "0");
const seconds = (ms: number): string => `${Math.floor(ms / 1000)}.${String(ms % 1000).padStart(3, "0")}`;
const uuid = (value: number): string =>
  `${hex(Math.imul(value, 0x9e3779b1) >>> 0)}-7f3a-4c1d-9b2e-${hex(value)}a1b2`;

function agent(index: number): string {
  if (index === 3) return "kube-probe/1.30";
  if (index === 9) return "GoogleHC/1.0";
  if (index % 11 === 5) return `Mozilla/5.0 (compatible; Bot${index}/2.1; +http://bot.example/about)`;
  const version = `${90 + (index % 50)}.0.${4000 + index * 7}.${index % 200}`;
  return index % 3 === 0
    ? `Mozilla/5.0 (iPhone; CPU iPhone OS 17_${index % 9} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.${index} Mobile/15E148 Safari/604.1`
    : `Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${version} Safari/537.36`;
}

const referer = (index: number): string =>
  index % 4 === 0
    ? `https://www.search.example/?q=${WORDS[index % 10]}+${index}`
    : `https://kitchen.example/recipes/${WORDS[index % 10]}-${index}`;

if (import.meta.main) {
  const [file, lines = "3000000", days = "1", seed = "1"] = process.argv.slice(2);
  if (file === undefined) throw new Error("usage: node bench/access-fixture.ts FILE [lines] [days] [seed]");
  writeTo(file, { ...THREE_MILLION, lines: Number(lines), days: Number(days), seed: Number(seed) });
}
