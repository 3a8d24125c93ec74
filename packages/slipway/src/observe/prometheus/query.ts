/** Questions to a Prometheus over HTTP. */
import { SlipwayError } from "@slipway/base";
import { queryAddress, readAnswer, type Series } from "./answer.ts";

export interface PrometheusServer {
  /** Before `/api/v1/query`. */
  readonly url: string;
  readonly token: string | undefined;
}

/** Without what is no finite number (0/0). Rejects with PROMETHEUS_QUERY. */
export async function querySeries(
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
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  let response: Response;
  let text: string;
  try {
    response = await fetch(queryAddress(url, query), { headers, signal, redirect: "manual" });
    text = await response.text();
  } catch (error) {
    // fetch says "fetch failed"; what failed is the cause.
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    throw failed(`does not answer: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  }
  if (response.status === 401 || response.status === 403) throw failed(`refuses us (${response.status})`);
  const answer = readAnswer(text);
  switch (answer.kind) {
    case "series":
      return answer.series.filter(({ value }) => Number.isFinite(value));
    case "refused":
      throw failed(`refuses the query: ${answer.why}`);
    case "other":
      throw failed(`answers the query with a ${answer.type}`);
    case "unreadable":
      throw failed(`answers ${response.status}, and not as Prometheus does`);
  }
}
