/** Questions to a Prometheus, by its HTTP API (`GET /api/v1/query`, stable since version 2). */
import { SlipwayError } from "@slipway/base";
import * as z from "zod";

export interface PrometheusServer {
  /** Before `/api/v1/query`. */
  readonly url: string;
  readonly token: string | undefined;
}

export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const answerSchema = z.union([
  z.object({
    status: z.literal("success"),
    data: z.object({
      resultType: z.literal("vector"),
      result: z.array(
        z.object({
          metric: z.record(z.string(), z.string()),
          value: z.tuple([z.number(), z.string()]),
        }),
      ),
    }),
  }),
  z.object({ status: z.literal("error"), error: z.string() }),
]);

/** Of an instant vector, without what is not a number (0/0). Rejects with PROMETHEUS_QUERY. */
export async function queryVector(
  { url, token }: PrometheusServer,
  query: string,
  signal: AbortSignal,
): Promise<readonly Series[]> {
  const failed = (message: string, cause?: unknown): SlipwayError =>
    new SlipwayError({
      code: "PROMETHEUS_QUERY",
      where: url,
      message,
      hint: "The address and the token are observe.prometheus in slipway.config.ts.",
      ...(cause === undefined ? {} : { cause }),
    });
  const address = `${url.replace(/\/+$/, "")}/api/v1/query?${new URLSearchParams({ query })}`;
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  let response: Response;
  let text: string;
  try {
    response = await fetch(address, { headers, signal, redirect: "manual" });
    text = await response.text();
  } catch (error) {
    // fetch says "fetch failed"; what failed is the cause.
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    throw failed(`does not answer: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  }
  if (response.status === 401 || response.status === 403) throw failed(`refuses us (${response.status})`);
  const parsed = answerSchema.safeParse(json(text));
  if (!parsed.success) throw failed(`answers ${response.status}, and not as Prometheus does`);
  if (parsed.data.status === "error") throw failed(`refuses the query: ${parsed.data.error}`);
  return parsed.data.data.result
    .map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }))
    .filter(({ value }) => Number.isFinite(value));
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
