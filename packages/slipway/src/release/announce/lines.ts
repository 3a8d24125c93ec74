/** The lines of a release's message: a cluster, a gate, a hook, each with its mark. */
import { formatDuration } from "@slipway/base";
import type { ClusterLine, ClusterMark } from "../../notify/message.ts";
import type { GateRecord } from "../gates/gate.ts";
import type { HookRun } from "../hooks/hook.ts";
import { type Cause, whyOf } from "../judge/causes.ts";
import type { ClusterRecord } from "../model.ts";

export type Line = Pick<ClusterLine, "mark" | "text">;

export function verdictLine(
  verdict: ClusterRecord["verdict"],
  durationMs: number | undefined,
  cause: Cause | undefined,
  reason: string | undefined,
): Line {
  const after = durationMs === undefined ? "" : ` after ${formatDuration(durationMs)}`;
  if (verdict === "healthy") return { mark: "healthy", text: `healthy${after}` };
  if (verdict === "not-started") {
    return reason === undefined
      ? { mark: "waiting", text: "not started" }
      : { mark: "unknown", text: `not changed: ${reason}` };
  }
  if (verdict === "unknown") return { mark: "unknown", text: `unknown: ${reason ?? "no answer"}` };
  const code = cause === undefined ? "" : `: ${cause.code}`;
  return { mark: "failed", text: `failed${after}${code}` };
}

export function restoredLine(to: number, ok: boolean, reason: string | undefined): [ClusterMark, string] {
  return ok ? ["rolled-back", `back at release ${to}`] : ["failed", `NOT back at release ${to}: ${reason}`];
}

export const gateName = (gate: string, wave: number): string => `gate ${gate} (wave ${wave + 1})`;
export const hookName = (hook: string, cluster: string | undefined): string =>
  cluster === undefined ? `hook ${hook}` : `hook ${hook} (${cluster})`;

export function gateLine(
  outcome: GateRecord["outcome"],
  said: string,
  by: string | undefined,
): [ClusterMark, string] {
  const text = `${outcome}${by === undefined ? "" : ` by ${by}`}${said === "" ? "" : `: ${said}`}`;
  if (outcome === "passed") return ["healthy", text];
  return outcome === "failed" || outcome === "timed-out" ? ["failed", text] : ["unknown", text];
}

export function hookLine(
  outcome: HookRun["outcome"],
  cause: Cause | undefined,
  durationMs: number | undefined,
): [ClusterMark, string] {
  const after = durationMs === undefined ? "" : ` after ${formatDuration(durationMs)}`;
  const text = `${outcome}${after}${cause === undefined ? "" : `: ${whyOf(cause)}`}`;
  if (outcome === "succeeded") return ["healthy", text];
  return outcome === "failed" || outcome === "timed-out" ? ["failed", text] : ["unknown", text];
}
