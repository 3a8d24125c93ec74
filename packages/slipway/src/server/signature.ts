/**
 * Is this request from Slack? The signature is `v0=` and the HMAC-SHA256, with the app's signing secret, of
 * `v0:TIMESTAMP:BODY` over the body's own bytes (Slack, "Verifying requests from Slack"). An old timestamp is refused,
 * so that what was recorded on the way cannot be sent again later; within the five minutes the ledger of presses stands
 * against that. Nothing of the request is read before this says yes.
 */
import { createHmac, timingSafeEqual } from "node:crypto";

const TOLERANCE_S = 5 * 60;

export interface SignedRequest {
  /** Headers `x-slack-request-timestamp` and `x-slack-signature`. */
  readonly timestamp: string | undefined;
  readonly signature: string | undefined;
  readonly body: Uint8Array;
}

/** The reason against it; undefined when it is Slack's and fresh. `now`: ms since the epoch. */
export function reasonAgainst(request: SignedRequest, secret: string, now: number): string | undefined {
  const { timestamp, signature, body } = request;
  if (timestamp === undefined || signature === undefined) return "it is not signed";
  if (!/^\d{1,12}$/.test(timestamp)) return "its timestamp is not a number";
  const ageS = Math.floor(now / 1000) - Number(timestamp);
  if (Math.abs(ageS) > TOLERANCE_S) {
    return `its timestamp is ${Math.abs(ageS)} s ${ageS > 0 ? "old" : "ahead"}; at most ${TOLERANCE_S} s are taken`;
  }
  const expected = Buffer.from(signatureOf(timestamp, body, secret));
  const given = Buffer.from(signature);
  // The lengths are public; what is compared in constant time is the rest.
  return given.length === expected.length && timingSafeEqual(given, expected)
    ? undefined
    : "its signature is wrong: SLACK_SIGNING_SECRET is another app's, or it is not from Slack";
}

export function signatureOf(timestamp: string, body: Uint8Array, secret: string): string {
  return `v0=${createHmac("sha256", secret).update(`v0:${timestamp}:`).update(body).digest("hex")}`;
}
