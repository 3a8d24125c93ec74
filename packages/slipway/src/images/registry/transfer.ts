/** What pulls and pushes share. */
import { SlipwayError } from "@slipway/base";
import { formatReference, type ImageReference } from "../reference.ts";
import { TransientError } from "./http.ts";

const PARALLEL_BLOBS = 4;

/** Tries in a row that bring a transfer not one byte forward before it is given up. */
export const ATTEMPTS = 8;

export const manifestPath = (reference: ImageReference): string =>
  `/v2/${reference.repository}/manifests/${reference.digest ?? reference.tag ?? "latest"}`;

export const scopeOf = (reference: ImageReference, actions: string): string =>
  `repository:${reference.repository}:${actions}`;

/** Runs at most four at once; the first failure is thrown when the others have ended. */
export async function inParallel<T>(items: readonly T[], body: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const item = items[next] as T;
      next += 1;
      await body(item);
    }
  };
  const workers = Array.from({ length: Math.min(PARALLEL_BLOBS, items.length) }, worker);
  const failed = (await Promise.allSettled(workers)).find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

export function asBroken(reference: ImageReference, error: unknown): unknown {
  if (!(error instanceof TransientError)) return error;
  return new SlipwayError({
    code: error.status === undefined ? "REGISTRY_UNREACHABLE" : "REGISTRY_FAILED",
    where: formatReference(reference),
    message: `the transfer broke ${ATTEMPTS} times in a row: ${error.message}`,
    hint: "Run the command again; what was sent already is not sent twice.",
    cause: error,
    exitCode: 3,
  });
}

export function wrongDigest(where: string, expected: string, actual: string): SlipwayError {
  return new SlipwayError({
    code: "IMAGE_DIGEST_MISMATCH",
    where,
    message: `the registry's content is ${actual}, not ${expected}`,
    hint: "Something between here and the registry changed the content; do not use this image.",
    exitCode: 3,
  });
}
