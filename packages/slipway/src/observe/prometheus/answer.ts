/** A query to Prometheus and its answer, by its HTTP API (`GET /api/v1/query`, stable since version 2). */
import * as z from "zod";

export interface Series {
  /** A scalar has none. */
  readonly labels: Readonly<Record<string, string>>;
  /** NaN for 0/0, and infinite for 1/0. */
  readonly value: number;
}

export type PrometheusAnswer =
  | { readonly kind: "series"; readonly series: readonly Series[] }
  /** In Prometheus' own words. */
  | { readonly kind: "refused"; readonly why: string }
  /** A `matrix` or a `string`: what was asked is not about one moment, or no number. */
  | { readonly kind: "other"; readonly type: string }
  | { readonly kind: "unreadable" };

/** `server`: what is before `/api/v1`. */
export function queryAddress(server: string, query: string): string {
  return `${server.replace(/\/+$/, "")}/api/v1/query?${new URLSearchParams({ query })}`;
}

/** Of seconds since the epoch and a number as Prometheus writes it: `0.5`, `1e-3`, `NaN`, `+Inf`, `-Inf`. */
const valueSchema = z
  .tuple([z.number(), z.string()])
  .transform(([, text]) => Number(text.replace("Inf", "Infinity")));

const dataSchema = z.discriminatedUnion("resultType", [
  z.object({ resultType: z.literal("scalar"), result: valueSchema }),
  z.object({
    resultType: z.literal("vector"),
    result: z.array(z.object({ metric: z.record(z.string(), z.string()), value: valueSchema })),
  }),
  z.object({ resultType: z.enum(["matrix", "string"]) }),
]);

const answerSchema = z.discriminatedUnion("status", [
  z.object({ status: z.literal("success"), data: dataSchema }),
  z.object({ status: z.literal("error"), error: z.string().default("no reason given") }),
]);

export function readAnswer(body: string): PrometheusAnswer {
  const parsed = answerSchema.safeParse(json(body));
  if (!parsed.success) return { kind: "unreadable" };
  if (parsed.data.status === "error") return { kind: "refused", why: parsed.data.error };
  const { data } = parsed.data;
  switch (data.resultType) {
    case "scalar":
      return { kind: "series", series: [{ labels: {}, value: data.result }] };
    case "vector":
      return {
        kind: "series",
        series: data.result.map(({ metric, value }) => ({ labels: metric, value })),
      };
    case "matrix":
    case "string":
      return { kind: "other", type: data.resultType };
  }
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
