import { SlipwayError } from "@slipway/base";
import type { Status, StatusReason } from "../resources/meta.ts";

/** An answer of an API server that is an error, with its Status as Kubernetes clients know it. */
export class StatusError extends SlipwayError {
  override readonly name = "StatusError";
  readonly status: Status;

  constructor(status: Status, where?: string) {
    super({
      code: `KUBE_${(status.reason ?? "UNKNOWN").toUpperCase() || "UNKNOWN"}`,
      message: status.message ?? "unknown error",
      where,
    });
    this.status = status;
  }

  get reason(): StatusReason {
    return this.status.reason ?? "";
  }

  get httpCode(): number {
    return this.status.code ?? 500;
  }
}

export function isReason(error: unknown, reason: StatusReason): error is StatusError {
  return error instanceof StatusError && error.reason === reason;
}

/** Builds a StatusError from its parts; `api/errors.ts` words the common ones as Kubernetes does. */
export function statusError(
  code: number,
  reason: StatusReason,
  message: string,
  details?: NonNullable<Status["details"]>,
): StatusError {
  return new StatusError({
    apiVersion: "v1",
    kind: "Status",
    metadata: {},
    status: "Failure",
    message,
    reason,
    ...(details === undefined ? {} : { details }),
    code,
  });
}
