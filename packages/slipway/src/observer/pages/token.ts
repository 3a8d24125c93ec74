/** The secret of a dashboard: 256 bits from the operating system, in characters that a link may hold. */
import { randomBytes } from "node:crypto";

export function newToken(): string {
  return randomBytes(32).toString("base64url");
}

/** The part behind `#` is not sent to any server, so the token enters no log and no Referer. */
export function signInLink(url: string, token: string): string {
  return `${url}/#token=${encodeURIComponent(token)}`;
}
