/** One release whole: `slipway history NUMBER`. What a person asks the morning after. Pure. */
import { formatAge, formatDuration } from "@slipway/base";
import { showCommit } from "../commit.ts";
import type { ClusterRecord, ReleaseRecord } from "../model.ts";
import { renderCause, renderEvidence, whatOf } from "../text.ts";
import { nameOfHeld, whatIsHeld } from "./held.ts";

/** `records`: all that are known; of what is held they have the names. */
export function renderRecord(record: ReleaseRecord, now: number, records: readonly ReleaseRecord[]): string {
  const { version, startedAt, finishedAt } = record;
  const took = finishedAt === undefined ? "" : `, took ${formatDuration(finishedAt - startedAt)}`;
  const author = version.author === "" ? "" : ` by ${version.author}`;
  return [
    `release ${record.number} of ${record.service} (${record.environment}): ${record.outcome}`,
    `  what     ${record.kind === "rollback" ? whatOf(record) : `${showCommit(version)}${author}`}`,
    ...version.message
      .trim()
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => `           ${line}`),
    `  by       ${record.who} (${record.from})`,
    `  when     ${new Date(startedAt).toISOString()} (${formatAge(now - startedAt)} ago)${took}`,
    ...(record.resumes ?? []).map(
      (one) =>
        `  resumed  by ${one.who} (${one.from}) ${formatDuration(one.at - startedAt)} after its start: ${one.found}`,
    ),
    ...(record.stolenLocks ?? []).map(
      (one) =>
        `  stole    the lock in ${one.cluster} from ${one.holder}${one.message === "" ? "" : ` ("${one.message}")`}`,
    ),
    "  clusters",
    ...Object.entries(record.clusters).flatMap(([name, cluster]) => clusterLines(name, cluster)),
    "  images",
    ...record.images.map((image) => `    ${image.name}  ${image.reference}`),
    "  objects",
    ...record.objects.map(({ kind, metadata }) => `    ${kind} ${metadata.name}`),
    ...(record.gates ?? []).map((gate) => `  gate     ${gate.name} (wave ${gate.wave + 1}): ${gate.outcome}`),
    ...(record.hooks ?? []).map(({ hook, runs }) => {
      const outcomes = runs.map((run) => run.outcome).join(", ");
      return `  hook     ${hook.name}: ${outcomes === "" ? "not run" : outcomes}`;
    }),
    ...record.held.map((what) => {
      const before = record.heldBefore?.find((one) => one.what === what);
      const held = whatIsHeld({ what, name: before?.name ?? nameOfHeld(what, records) });
      return `  holds    ${held}${sinceWhen(record, what)}`;
    }),
    ...record.evidence.map(renderEvidence),
  ].join("\n");
}

function sinceWhen({ heldByHand = [], heldBefore = [] }: ReleaseRecord, held: string): string {
  const before = heldBefore.find(({ what }) => what === held);
  if (before !== undefined) return ` (since release ${before.by})`;
  const found = heldByHand.find(({ what }) => what.includes(held));
  if (found === undefined) return "";
  const message = found.message === "" ? "" : `: "${found.message}"`;
  return ` (by ${found.who}, ${new Date(found.at).toISOString()}${message})`;
}

function clusterLines(name: string, cluster: ClusterRecord): readonly string[] {
  const { verdict, step, startedAt, finishedAt, cause, reason, restored } = cluster;
  const isTimed = startedAt !== undefined && finishedAt !== undefined;
  const took = isTimed ? ` after ${formatDuration(finishedAt - startedAt)}` : "";
  const why = cause === undefined && reason !== undefined ? `: ${reason}` : "";
  const doing = step === "done" || step === "pending" ? "" : ` (${step})`;
  const back =
    restored === undefined
      ? []
      : [
          `    ${name}: ${restored.ok ? `back at release ${restored.to}` : `NOT back at release ${restored.to}: ${restored.reason}`}`,
        ];
  const blame =
    cause === undefined
      ? []
      : renderCause(cause)
          .split("\n")
          .map((line) => `    ${line}`);
  return [`    ${name}: ${verdict}${doing}${took}${why}`, ...blame, ...back];
}
