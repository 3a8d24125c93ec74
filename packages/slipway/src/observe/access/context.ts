/** What all parsers of one process share: where ids come from, the formats, what is redacted, the routes of services. */
import type { Dictionaries } from "./batch.ts";
import { CombinedLines } from "./combined.ts";
import { compileFormat, type LogFormat, NAMED_FORMATS, type TextFormat } from "./format.ts";
import { Redactor } from "./redact.ts";
import { RouteTable } from "./route.ts";
import { Row, RowWriter } from "./row.ts";
import type { SourceLabels } from "./source.ts";
import { TextRequests } from "./text-request.ts";

export interface ParseOptions {
  readonly sourceOf: (labels: SourceLabels) => number;
  readonly dictionaries: Dictionaries;
  /** ms since the epoch, for lines that do not say when. */
  readonly now: () => number;
  /** Container → nginx's log_format; see `compileFormat`. */
  readonly formats?: Readonly<Record<string, string>>;
  /** Names beside those that are always secret; see redact.ts and redact-text.ts. */
  readonly redact?: readonly string[];
  readonly truncateIp?: boolean;
}

export class ParseContext {
  readonly sourceOf: (labels: SourceLabels) => number;
  readonly now: () => number;
  readonly redactor: Redactor;
  readonly rows: RowWriter;
  readonly row = new Row();
  readonly texts = new TextRequests();
  readonly combined: CombinedLines;
  readonly named: readonly TextFormat[];
  readonly #formats: ReadonlyMap<string, LogFormat>;
  readonly #dictionaries: Dictionaries;
  readonly #routes = new Map<string, RouteTable>();

  /** Throws LOG_FORMAT_INVALID. */
  constructor(options: ParseOptions) {
    this.sourceOf = options.sourceOf;
    this.now = options.now;
    this.redactor = new Redactor(options.redact);
    this.#dictionaries = options.dictionaries;
    this.rows = new RowWriter(options.dictionaries, this.redactor, options.truncateIp ?? false);
    this.combined = new CombinedLines(this.rows, this.redactor, options.truncateIp ?? false);
    this.named = Object.entries(NAMED_FORMATS).map(([name, text]) => compileFormat(name, text) as TextFormat);
    this.#formats = new Map(
      Object.entries(options.formats ?? {}).map(([container, text]) => [
        container,
        compileFormat(container, text),
      ]),
    );
  }

  formatOf(container: string): LogFormat | undefined {
    return this.#formats.get(container);
  }

  routesOf(service: string): RouteTable {
    const known = this.#routes.get(service);
    if (known !== undefined) return known;
    const made = new RouteTable(this.#dictionaries.route);
    this.#routes.set(service, made);
    return made;
  }
}
