/** Questions to the server. Every one ends: with an answer, or with a sentence that says what happened. */
import { store } from "./store.ts";

export class AnswerError extends Error {
  readonly code: string;
  readonly hint: string | undefined;
  readonly status: number;
  constructor(status: number, code: string, message: string, hint: string | undefined) {
    super(message);
    this.code = code;
    this.hint = hint;
    this.status = status;
  }
}

/** No answer is waited for longer. */
const deadlineMs = 20_000;

export function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return ask<T>(path, { method: "GET" }, signal);
}

/** With the session's CSRF value. A deed's token is the caller's business: `confirm` in the body. */
export function post<T>(path: string, body: unknown): Promise<T> {
  return ask<T>(path, {
    method: "POST",
    headers: { "content-type": "application/json", "x-slipway-csrf": store.get().session?.csrf ?? "" },
    body: JSON.stringify(body),
  });
}

async function ask<T>(path: string, init: RequestInit, signal?: AbortSignal): Promise<T> {
  const deadline = AbortSignal.timeout(deadlineMs);
  let response: Response;
  try {
    response = await fetch(path, {
      ...init,
      credentials: "same-origin",
      signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw deadline.aborted
      ? new AnswerError(0, "NoAnswer", "no answer within 20 s", "It is asked again by itself.")
      : new AnswerError(
          0,
          "NotReached",
          "the observer is not reached",
          "Is it still running? It is asked again by itself.",
        );
  }
  const body = (await response.json().catch(() => undefined)) as
    | (T & { error?: { code: string; message: string; where?: string; hint?: string } })
    | undefined;
  if (response.ok && body !== undefined) return body;
  if (response.status === 401) store.set({ session: undefined });
  const error = body?.error;
  throw new AnswerError(
    response.status,
    error?.code ?? "AnswerUnreadable",
    error === undefined
      ? `the observer answered ${response.status} and nothing that can be read`
      : error.where === undefined
        ? error.message
        : `${error.where}: ${error.message}`,
    error?.hint,
  );
}
