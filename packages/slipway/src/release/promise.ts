/** A button is pressed minutes or days after it was made. It does what it said then, or nothing. */
import { SlipwayError } from "@slipway/base";

export interface RollbackPromise {
  readonly leaves: number;
  readonly to: number;
}

/** Throws ROLLBACK_OUTDATED when the rollback would now be another one. */
export function keepPromise(promised: RollbackPromise | undefined, leaves: number, to: number): void {
  if (promised === undefined || (promised.leaves === leaves && promised.to === to)) return;
  const message =
    promised.leaves === leaves
      ? `would now go to release ${to}, not to ${promised.to}`
      : `release ${leaves} is what would be left now, not ${promised.leaves}`;
  throw new SlipwayError({
    code: "ROLLBACK_OUTDATED",
    where: `rollback of release ${promised.leaves} to ${promised.to}`,
    message,
    hint: "Look at slipway history, then use the button of the newest release or slipway rollback.",
    exitCode: 2,
  });
}
