/** A secret of 256 bits from the operating system, in characters that a URL may hold. A seeded generator makes no secrets. */
import { randomBytes } from "node:crypto";

export function newSecret(): string {
  return randomBytes(32).toString("base64url");
}
