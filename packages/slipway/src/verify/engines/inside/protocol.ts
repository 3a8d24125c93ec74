/** What an engine and its helper inside a container's network say to each other: one JSON document a line. */
import type {
  ContainerProcess,
  FoundFile,
  InsideRequest,
  InsideResponse,
  ListeningSocket,
  ReachResult,
} from "../engine.ts";
import type { RootEntry } from "./root.ts";

export type InsideQuestion =
  | { readonly do: "http"; readonly request: InsideRequest }
  | { readonly do: "reach"; readonly host: string; readonly port: number; readonly timeoutMs: number }
  | { readonly do: "resolve"; readonly name: string; readonly timeoutMs: number }
  | { readonly do: "sockets" }
  | { readonly do: "processes" }
  | { readonly do: "lookup"; readonly path: string; readonly isLinkKept: boolean }
  /** `limit` -1: all of it. */
  | { readonly do: "read"; readonly path: string; readonly limit: number }
  | { readonly do: "entries" };

export interface InsideAnswers {
  http: InsideResponse;
  reach: ReachResult;
  resolve: readonly string[];
  sockets: readonly ListeningSocket[];
  processes: readonly ContainerProcess[];
  lookup: FoundFile;
  /** Base64. */
  read: string;
  entries: readonly RootEntry[];
}

/** `pid`: the container's first process, as the helper sees it. */
export type ToHelper = { readonly id: number; readonly pid: number } & InsideQuestion;

export interface FromHelper {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: { readonly code: string | undefined; readonly message: string };
}
