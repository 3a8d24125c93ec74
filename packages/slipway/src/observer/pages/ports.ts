/** What the pages show beside clusters and requests, plugged in by whoever serves them. Each may be missing. */
import type { QueryLimits } from "../../observe/warehouse/warehouse.ts";
import type {
  AlertsAnswer,
  Incident,
  MuteAlert,
  QueriesAnswer,
  QueryAnswerView,
  RunQuery,
  SaveQuery,
} from "../../server/api.ts";

export interface AlertsPort {
  list(): Promise<AlertsAnswer>;
  /** Rejects when there is no such incident or rule. */
  mute(wish: Omit<MuteAlert, "confirm">, who: string): Promise<void>;
  /** Called with each incident that opened, changed or closed. */
  onChange(listener: (incident: Incident) => void): void;
}

export type NamedRun = Extract<RunQuery, { readonly name: string }>;

export interface QueriesPort {
  list(): Promise<Omit<QueriesAnswer, "tables">>;
  run(wish: NamedRun, limits: QueryLimits): Promise<QueryAnswerView>;
  /** The file that was written, from the project's folder on. */
  save(wish: Omit<SaveQuery, "confirm">): Promise<{ readonly file: string }>;
}

/** Goes back from one release to another, as both were shown; resolves with what came of it, in a sentence. */
export type RollBack = (
  wish: { readonly leaves: number; readonly to: number },
  who: string,
  signal: AbortSignal,
) => Promise<string>;
