/**
 * Sessions without a list: the cookie says when it ends and is signed with a key that comes from the token, so a restart
 * ends no session, nothing grows, and a new token ends them all. What a page sends with each POST (CSRF) comes from the
 * cookie and the key as well.
 *
 * The token is 32 random characters or more; the limit on wrong ones is for what people choose themselves.
 */
import { createHmac } from "node:crypto";
import { isSameSecret, type Random } from "@slipway/base";

export const SESSION_MS = 12 * 60 * 60 * 1000;
const WRONG_AT_MOST = 10;
const WRONG_WITHIN_MS = 60_000;
/** Addresses whose wrong tokens are remembered; beyond it the oldest are forgotten. */
const MOST_ADDRESSES = 1000;

export interface Session {
  /** What POSTs of this session carry. */
  readonly csrf: string;
  readonly endsAt: number;
}

export type Admission =
  | { readonly kind: "admitted"; readonly cookie: string; readonly session: Session }
  | { readonly kind: "wrong" }
  | { readonly kind: "limited"; readonly retryAfterMs: number };

export interface Sessions {
  /** A session for who knows the token. */
  admit(token: unknown, address: string, now: number): Admission;
  /** Does this person know the token still? Counts like `admit`. */
  confirm(token: unknown, address: string, now: number): Exclude<Admission["kind"], "admitted"> | "right";
  /** The session that this cookie is of; undefined when it is none of ours or over. */
  of(cookie: string | undefined, now: number): Session | undefined;
  isCsrf(session: Session, value: unknown): boolean;
}

export function createSessions(token: string, random: Random): Sessions {
  if (token.length < 16) throw new RangeError("a token has at least 16 characters");
  const key = createHmac("sha256", token).update("slipway dashboard: sessions").digest();
  const wrong = new Map<string, number[]>();
  const sign = (purpose: string, text: string): string =>
    createHmac("sha256", key).update(`${purpose}\n${text}`).digest("base64url");
  const sessionOf = (body: string, endsAt: number): Session => ({ csrf: sign("csrf", body), endsAt });

  const recent = (address: string, now: number): number[] =>
    (wrong.get(address) ?? []).filter((at) => now - at < WRONG_WITHIN_MS);

  const check: Sessions["confirm"] = (given, address, now) => {
    const before = recent(address, now);
    if (before.length >= WRONG_AT_MOST) return "limited";
    if (isSame(given, token)) return "right";
    wrong.delete(address);
    wrong.set(address, [...before, now]);
    if (wrong.size > MOST_ADDRESSES) wrong.delete(wrong.keys().next().value as string);
    return "wrong";
  };

  return {
    confirm: check,
    admit(given, address, now) {
      const checked = check(given, address, now);
      if (checked === "limited") {
        const [first = now] = recent(address, now);
        return { kind: "limited", retryAfterMs: first + WRONG_WITHIN_MS - now };
      }
      if (checked === "wrong") return { kind: "wrong" };
      const endsAt = now + SESSION_MS;
      const body = `${random.name(16)}.${endsAt}`;
      return {
        kind: "admitted",
        cookie: `${body}.${sign("cookie", body)}`,
        session: sessionOf(body, endsAt),
      };
    },
    of(cookie, now) {
      const found = /^([a-z0-9]{16}\.(\d{1,16}))\.([\w-]{43})$/.exec(cookie ?? "");
      if (found === null) return undefined;
      const [, body, ends, signature] = found as unknown as [string, string, string, string];
      if (!isSame(signature, sign("cookie", body)) || Number(ends) <= now) return undefined;
      return sessionOf(body, Number(ends));
    },
    isCsrf: (session, value) => isSame(value, session.csrf),
  };
}

function isSame(given: unknown, right: string): boolean {
  return typeof given === "string" && given.length <= 1024 && isSameSecret(given, right);
}
