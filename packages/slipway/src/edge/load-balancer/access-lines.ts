/** The access log as it is written: one line for each request (`access-log.ts`), handed over in batches. */
import type { IncomingMessage } from "node:http";
import type { Clock } from "@slipway/base";
import { formatAccess } from "./access-log.ts";
import type { Backend } from "./balancer.ts";
import type { Attempt } from "./forward.ts";
import { remoteIp } from "./headers.ts";

/** What became of a request. */
export interface Outcome {
  /** Monotonic ms. */
  readonly startedAt: number;
  readonly requestId: string;
  readonly service: string;
  readonly attempts: readonly Attempt[];
  readonly bytes: number;
}

export interface AccessLines {
  add(request: IncomingMessage, status: number, outcome: Outcome): void;
  flush(): void;
}

const EVERY_MS = 25;

/** So that logging costs one write for many requests. Without a sink nothing is formatted. */
export function createAccessLines(options: {
  readonly sink: ((lines: string) => void) | undefined;
  /** Empty when unknown. */
  readonly releaseOf: (backend: Backend) => string;
  readonly clock: Clock;
}): AccessLines {
  const { sink, releaseOf, clock } = options;
  let pending = "";
  const flush = (): void => {
    if (pending === "") return;
    const text = pending;
    pending = "";
    sink?.(text);
  };

  return {
    add(request, status, outcome) {
      if (sink === undefined) return;
      if (pending === "") void clock.sleep(EVERY_MS).then(flush);
      const last = outcome.attempts.at(-1)?.backend;
      pending += formatAccess({
        endMs: clock.now(),
        durationMs: clock.monotonic() - outcome.startedAt,
        method: request.method ?? "",
        url: request.url ?? "",
        requestSize: Number(request.headers["content-length"] ?? 0),
        status,
        responseSize: outcome.bytes,
        userAgent: request.headers["user-agent"] ?? "",
        remoteIp: remoteIp(request),
        referer: request.headers.referer ?? "",
        protocol: `HTTP/${request.httpVersion}`,
        upstreamMs: outcome.attempts.map(({ ms }) => ms),
        upstreamStatus: outcome.attempts.map((attempt) => attempt.status),
        upstreamAddr: outcome.attempts.map(({ backend }) => `${backend.ip}:${backend.port}`),
        requestId: outcome.requestId,
        cluster: last?.cluster ?? "",
        pod: last?.pod ?? "",
        service: outcome.service,
        release: last === undefined ? "" : releaseOf(last),
      });
    },
    flush,
  };
}
