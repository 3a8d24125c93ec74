/** Reasons not to begin that any command may have, and how several are told as one. Pure. */
import { SlipwayError } from "@slipway/base";

export function unreachableRefusal(cluster: {
  readonly name: string;
  readonly reason: string | undefined;
}): SlipwayError {
  return new SlipwayError({
    code: "CLUSTER_UNREACHABLE",
    where: `clusters/${cluster.name}`,
    message: cluster.reason ?? "the cluster does not answer",
    hint: "Nothing was changed. Bring it back, or go on without it: --skip-unreachable leaves it as unknown.",
    exitCode: 3,
  });
}

/** All refusals as one error: the first one in front, the others listed below it. */
export function refusalError(refusals: readonly SlipwayError[]): SlipwayError | undefined {
  const [first, ...rest] = refusals;
  if (first === undefined || rest.length === 0) return first;
  // Below them all, one's advice would seem to be about the last.
  const told = refusals.map(({ where, message, hint }, at) => {
    const next = refusals[at + 1];
    const advice = hint === undefined || next === undefined || next.hint === hint ? "" : `\n  ${hint}`;
    return `${at === 0 || where === undefined ? "" : `${where}: `}${message}${advice}`;
  });
  return new SlipwayError({
    code: first.code,
    where: first.where,
    message: told.join("\n"),
    hint: refusals.at(-1)?.hint,
    exitCode: first.exitCode,
    cause: first.cause,
  });
}
