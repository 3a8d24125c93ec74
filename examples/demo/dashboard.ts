/** What the dashboard shows at the end, asked as its pages ask it. */
import type {
  QueryAnswerView,
  ReleaseSummary,
  ReleasesAnswer,
  SessionAnswer,
} from "../../packages/slipway/src/server/api.ts";

export interface SeenRelease {
  readonly release: ReleaseSummary;
  /** Requests that its pods answered, as the edge logged them. */
  readonly requests: number;
  readonly errorRatio: number;
  readonly p95: number | undefined;
}

export async function lookAtDashboard(observer: {
  readonly url: string;
  readonly token: string;
}): Promise<readonly SeenRelease[]> {
  const answered = await fetch(`${observer.url}/api/session`, {
    method: "POST",
    headers: { "content-type": "application/json", origin: observer.url },
    body: JSON.stringify({ token: observer.token }),
  });
  if (!answered.ok) throw new Error(`the dashboard: HTTP ${answered.status} ${await answered.text()}`);
  const { csrf } = (await answered.json()) as SessionAnswer;
  const cookie = answered.headers
    .getSetCookie()
    .map((one) => one.split(";")[0])
    .join("; ");
  const ask = async <T>(path: string, body?: unknown): Promise<T> => {
    const answer = await fetch(`${observer.url}${path}`, {
      ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
      headers: { cookie, origin: observer.url, "content-type": "application/json", "x-slipway-csrf": csrf },
    });
    if (!answer.ok) throw new Error(`the dashboard: HTTP ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as T;
  };
  const { releases } = await ask<ReleasesAnswer>("/api/releases");
  const { columns, rows } = await ask<QueryAnswerView>("/api/queries/run", {
    name: "releases-compared",
    parameters: {},
  });
  const at = (name: string): number => columns.findIndex((column) => column.name === name);
  return releases.map((release) => {
    const row = rows.find((one) => Number(one[at("release")]) === release.number);
    return {
      release,
      requests: Number(row?.[at("requests")] ?? 0),
      errorRatio: Number(row?.[at("error_ratio")] ?? 0),
      p95: row === undefined ? undefined : Number(row[at("p95")]),
    };
  });
}
