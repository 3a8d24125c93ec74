/** One open warehouse: its connections and what it keeps in memory. */
import type { Clock } from "@slipway/base";
import type { Dictionary } from "../../access/dictionary.ts";
import { isProbe } from "../../access/probe.ts";
import type { Appender } from "./append.ts";
import type { Connection, Database } from "./connection.ts";
import type { SealedDays } from "./sealed.ts";
import type { Sources } from "./sources.ts";

export interface State {
  /** Exchanged when DuckDB gives up an instance after an error of the disk. */
  database: Database;
  /** The only one that writes rows. */
  writer: Connection;
  appender: Appender;
  readonly sealed: SealedDays;
  readonly clock: Clock;
  readonly dictionaries: Readonly<Record<"referer" | "userAgent" | "route", Dictionary>>;
  readonly sources: Sources;
  readonly probes: Probes;
  readonly offsets: Map<string, number>;
  /** Service → begin of the first minute that has lines of the edge. */
  readonly edgeSince: Map<string, number>;
  readonly counts: Counts;
  /** Rows in rollup_new. */
  rollupRows: number;
  /** A new instance in place of one that DuckDB has given up. */
  exchange(): Promise<void>;
}

/** Values of one kind that get an id; whoever sends requests chooses them, so there is an end to it. */
export const MAX_VALUES = 50_000;

/** Kinds of the table `dict`, with the names that the parser uses. */
export const DICTIONARIES = [
  ["referer", "referer"],
  ["userAgent", "ua"],
  ["route", "route"],
] as const;

/** Which user agents are health checks, by id; looked up for each request. */
export class Probes {
  readonly #isProbe = new Uint8Array(MAX_VALUES + 1);
  #learned = 0;

  /** Looks at the values that are new. */
  learn(userAgents: Dictionary): void {
    for (; this.#learned < userAgents.size; this.#learned += 1) {
      const id = this.#learned + 1;
      if (isProbe(userAgents.valueOf(id))) this.#isProbe[id] = 1;
    }
  }

  has = (id: number): boolean => this.#isProbe[id] === 1;
}

/** Counts that `figures` tells, without asking the database each time. */
export interface Counts {
  access: number;
  logs: number;
  quarantine: number;
  gaps: number;
  oldestMs: number | undefined;
  newestMs: number | undefined;
  committed: number;
}
