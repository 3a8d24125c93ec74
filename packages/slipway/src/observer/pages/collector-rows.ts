/**
 * The rows of a cluster's collector, which is asked over connections that somebody else makes: through the API server's
 * port-forward, so that nothing has to be reachable but that. Connections are kept; a new one costs three round trips.
 */
import type { Agent, RequestOptions } from "node:http";
import type { Duplex } from "node:stream";
import { type Clock, SlipwayError } from "@slipway/base";
import type {
  QueryAnswer,
  QueryLimits,
  QueryParameters,
  WarehouseFigures,
} from "../../observe/warehouse/warehouse.ts";
import type { ObserverFigures } from "../observer.ts";
import type { Rows } from "./rows.ts";
import { warehouseRows } from "./warehouse-rows.ts";

/** Not imported: an import reads all its exports, and WebSocket among them loads the whole of Node's own fetch. */
const http = process.getBuiltinModule("node:http");

const MOST_CONNECTIONS = 4;
const FIGURES_FRESH_MS = 1000;
const MARGIN_MS = 2000;
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

export interface CollectorOptions {
  /** Of the cluster. */
  readonly name: string;
  readonly connect: () => Promise<Duplex>;
  readonly token: string;
  readonly clock: Clock;
}

export function collectorRows(options: CollectorOptions): Rows & { close(): void } {
  const { name, clock, token } = options;
  const agent = agentOver(options.connect);
  let seen: { readonly at: number; readonly figures: Figures } | undefined;

  const ask = <T>(what: string, body: unknown, timeoutMs: number, signal?: AbortSignal): Promise<T> =>
    call<T>({ agent, name, token, what, body, timeoutMs, signal });
  const query = (
    sql: string,
    parameters: QueryParameters = {},
    { maxRows, timeoutMs = 30_000, signal }: QueryLimits = {},
  ): Promise<QueryAnswer> =>
    ask<QueryAnswer>("query", { sql, parameters, maxRows, timeoutMs }, timeoutMs + MARGIN_MS, signal);

  return {
    name,
    query,
    async lines() {
      if (seen === undefined || clock.monotonic() - seen.at >= FIGURES_FRESH_MS) {
        seen = { at: clock.monotonic(), figures: await ask<Figures>("figures", {}, 5000) };
      }
      const { warehouse, unread } = seen.figures;
      return warehouseRows(
        name,
        { query, figures: () => warehouse },
        { clock, unread: () => unread },
      ).lines();
    },
    close: () => agent.destroy(),
  };
}

type Figures = ObserverFigures & { readonly warehouse: WarehouseFigures };

function agentOver(connect: () => Promise<Duplex>): Agent {
  const agent = new http.Agent({ keepAlive: true, maxSockets: MOST_CONNECTIONS });
  agent.createConnection = (_options, callback) => {
    connect().then(
      (stream) => callback?.(null, stream),
      (error: unknown) => callback?.(error as Error, undefined as never),
    );
    return undefined;
  };
  return agent;
}

interface Calling {
  readonly agent: Agent;
  readonly name: string;
  readonly token: string;
  readonly what: string;
  readonly body: unknown;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** As `world/control.ts` is asked. */
function call<T>({ agent, name, token, what, body, timeoutMs, signal }: Calling): Promise<T> {
  const text = JSON.stringify(body);
  const limit = AbortSignal.timeout(timeoutMs);
  const options: RequestOptions = {
    method: "POST",
    path: `/${what}`,
    agent,
    signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
    headers: {
      host: "collector",
      authorization: `Bearer ${token}`,
      "content-type": "application/json",
      "content-length": Buffer.byteLength(text),
    },
  };
  const failed = (cause: unknown): SlipwayError =>
    new SlipwayError({
      code: "COLLECTOR_NOT_ANSWERING",
      where: `clusters/${name}`,
      message: limit.aborted
        ? `its collector did not answer within ${timeoutMs / 1000} s`
        : `its collector does not answer: ${cause instanceof Error ? cause.message : String(cause)}`,
      cause,
    });
  return new Promise((resolve, reject) => {
    const request = http.request(options, async (response) => {
      try {
        const chunks: Buffer[] = [];
        let length = 0;
        for await (const chunk of response) {
          length += (chunk as Buffer).length;
          if (length > MAX_ANSWER_BYTES) throw new Error("its answer is too long");
          chunks.push(chunk as Buffer);
        }
        const answer = JSON.parse(Buffer.concat(chunks).toString("utf8")) as {
          readonly result?: T;
          readonly error?: { readonly code: string; readonly message: string; readonly where?: string };
        };
        if (answer.error !== undefined) reject(new SlipwayError(answer.error));
        else resolve(answer.result as T);
      } catch (error) {
        reject(failed(error));
      }
    });
    request.on("error", (error) => reject(failed(error)));
    request.end(text);
  });
}
