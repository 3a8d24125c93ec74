/** Secrets that are made, and those that somebody shows. */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

/** 256 bits from the operating system, in characters that a URL may hold. A seeded generator makes no secrets. */
export function newSecret(): string {
  return randomBytes(32).toString("base64url");
}

/** In a time that tells nothing of where they differ, nor of how long they are: what is compared are hashes. */
export function isSameSecret(given: string, right: string): boolean {
  return timingSafeEqual(digest(given), digest(right));
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
