/** One open warehouse: its connections and what it keeps in memory. */
import type { Clock } from "@slipway/base";
import type { Dictionary } from "../../access/dictionary.ts";
import type { Appender } from "./append.ts";
import type { Connection, Database } from "./connection.ts";
import type { Counts, Probes } from "./load.ts";
import type { Sources } from "./sources.ts";

export interface State {
  readonly database: Database;
  /** The only one that writes rows. */
  readonly writer: Connection;
  readonly appender: Appender;
  readonly clock: Clock;
  readonly dictionaries: Readonly<Record<"referer" | "userAgent" | "route", Dictionary>>;
  readonly sources: Sources;
  readonly probes: Probes;
  readonly offsets: Map<string, number>;
  /** Service → begin of the first minute that has lines of the edge. */
  readonly edgeSince: Map<string, number>;
  readonly counts: Counts;
}
