/** Who one is: a cookie that the token was given for. A link may bring the token behind `#token=`. */

import type { SessionAnswer } from "../live/api.ts";
import { AnswerError, get, post } from "../live/client.ts";
import { store } from "../live/store.ts";
import { tokenOf } from "./route.ts";

export async function begin(): Promise<void> {
  const token = tokenOf(location.hash);
  // Out of the address at once: it must not stay in the history or on a shared screen.
  if (token !== undefined) history.replaceState(null, "", "#/now");
  try {
    if (token !== undefined) await signIn(decodeURIComponent(token));
    else store.set({ session: await get<SessionAnswer>("/api/session") });
  } catch (error) {
    if (!(error instanceof AnswerError) || (error.status !== 401 && token === undefined)) {
      store.notify("bad", error instanceof Error ? error.message : String(error));
    } else if (token !== undefined) {
      store.notify("bad", `Not signed in: ${error.message}`);
    }
  } finally {
    store.set({ isAsked: true });
  }
}

export async function signOut(): Promise<void> {
  await post<unknown>("/api/session/end", {}).catch(() => undefined);
  store.set({ session: undefined, now: undefined, release: undefined });
}

/** @throws AnswerError when the token is not the one. */
export async function signIn(token: string): Promise<void> {
  const response = await fetch("/api/session", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ token }),
    credentials: "same-origin",
  }).catch(() => {
    throw new AnswerError(0, "NotReached", "the observer is not reached", "Is it running?");
  });
  const body = (await response.json().catch(() => undefined)) as
    | (SessionAnswer & { error?: { code: string; message: string; hint?: string } })
    | undefined;
  if (!response.ok || body === undefined) {
    throw new AnswerError(
      response.status,
      body?.error?.code ?? "Refused",
      body?.error?.message ?? `the observer answered ${response.status}`,
      body?.error?.hint,
    );
  }
  store.set({ session: body });
}
