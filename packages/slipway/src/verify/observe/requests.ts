/** Requests to what a release has deployed, each made for all that is expected of its answer and repeated until it holds. */
import type { Clock } from "@slipway/base";
import { type CheckOf, unknown } from "../check.ts";
import type { InsideResponse } from "../engines/engine.ts";
import { judgeHttp } from "../judge/running.ts";
import type { Plan } from "../plan.ts";
import type { Outcomes } from "./outcome.ts";
import { settle } from "./settle.ts";

/** How service checks reach what is deployed; provided by the CLI (through the world's network, or a port-forward). */
export interface ServiceAccess {
  /** `cluster` undefined: the first. `port` undefined: the Service's first. Rejects when nothing answers. */
  fetch(
    cluster: string | undefined,
    service: string,
    port: number | string | undefined,
    path: string,
    options: {
      readonly method: string;
      readonly headers: Readonly<Record<string, string>>;
      readonly body: string | undefined;
      readonly signal: AbortSignal;
    },
  ): Promise<{
    readonly status: number;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: Uint8Array;
  }>;
}

export async function askServices(
  requests: Plan["requests"],
  services: ServiceAccess | undefined,
  clock: Clock,
  outcomes: Outcomes,
): Promise<void> {
  await Promise.all(
    requests.map(async (request) => {
      if (services === undefined) {
        const judgement = unknown(
          "nothing is deployed yet, or it cannot be reached from here",
          "Deploy first (slipway ship), and check a local environment while its world runs.",
        );
        for (const check of request.checks) {
          outcomes.set(check, { judgement, from: "nothing", attempts: 0, durationMs: 0 });
        }
        return;
      }
      await settle(
        request.checks,
        {
          clock,
          digest: undefined,
          where: request.target.cluster ?? "the first cluster",
          look: async () => {
            const response = await ask(services, request, clock);
            return {
              isFinal: false,
              judge: (check) => Promise.resolve(judgeHttp(check as CheckOf<"http">, response, clock.now())),
            };
          },
        },
        outcomes,
      );
    }),
  );
}

/** A refused connection is a failure, not an unknown: the service was asked and did not answer. */
async function ask(
  services: ServiceAccess,
  { target, checks }: Plan["requests"][number],
  clock: Clock,
): Promise<InsideResponse> {
  const [{ resource, deadlineMs }] = checks as [CheckOf<"http">];
  const timeoutMs = Math.max(1_000, deadlineMs);
  const startedAt = clock.monotonic();
  const isAnswered = new AbortController();
  const giveUp = new AbortController();
  clock.sleep(timeoutMs, isAnswered.signal).then(
    () => giveUp.abort(new Error(`nothing came for ${timeoutMs} ms`)),
    () => {},
  );
  const tookMs = (): number => clock.monotonic() - startedAt;
  try {
    const { cluster, service, port } = target;
    const { url, method, headers, body: sent } = resource;
    const response = await services.fetch(cluster, service, port, url, {
      method,
      headers,
      body: sent,
      signal: giveUp.signal,
    });
    const body = Buffer.from(response.body).toString("utf8");
    return {
      status: response.status,
      headers: response.headers,
      body,
      certificate: undefined,
      tookMs: tookMs(),
    };
  } catch (error) {
    return {
      error: "no answer",
      message: error instanceof Error ? error.message : String(error),
      tookMs: tookMs(),
    };
  } finally {
    isAnswered.abort();
  }
}
