/** Whether a service is ready as its spec file says it, from what was seen of it. Nothing here looks. */
import { formatDuration } from "@slipway/base";
import type {
  ContainerLogs,
  ContainerState,
  ExecResult,
  InsideResponse,
  ListeningSocket,
  ServiceSpec,
  Unseen,
} from "../engines/engine.ts";
import { isRestarted } from "../engines/sandbox/restarts.ts";
import { fits, nearestLine, occurrences, quote } from "../text.ts";
import type { ExitForm, HttpForm, Leaf, LogForm, PortsForm, Readiness } from "./forms.ts";
import { deadlinesOf, leavesOf, showLeaf } from "./readiness.ts";

/** What was seen of one leaf so far in this life of the container. */
export type LeafSight =
  /** It has been so once. */
  | { readonly is: "held" }
  /** `soFar`: the nearest to it that was seen last. */
  | { readonly is: "pending"; readonly soFar: string | undefined }
  /** Time does not mend it. */
  | {
      readonly is: "lost";
      readonly kind: "unhealthy" | "no-healthcheck" | "unseen";
      readonly message: string;
    };

export interface ReadinessSight {
  readonly leaves: ReadonlyMap<Leaf, LeafSight>;
  /** Since it was first seen started, in milliseconds. */
  readonly waitedMs: number;
  /** It was looked at after its end: nothing more will come. */
  readonly isLast: boolean;
}

export type ReadinessJudgement =
  | { readonly kind: "ready" }
  | { readonly kind: "waiting"; readonly for: string }
  | {
      readonly kind: "failed";
      readonly failure: "exited" | "late" | "unhealthy" | "no-healthcheck" | "unseen";
      /** A fact, without the service's name. */
      readonly message: string;
    };

export interface Lived {
  readonly state: ContainerState;
  readonly restart: ServiceSpec["restart"];
  /** Others wait for it to complete, so that an end with 0 is no failure. */
  readonly isToEnd: boolean;
}

export function judgeReadiness(
  readiness: Readiness,
  { leaves, waitedMs, isLast }: ReadinessSight,
  { state, restart, isToEnd }: Lived,
): ReadinessJudgement {
  const all = leavesOf(readiness);
  const isPending = (leaf: Leaf): boolean => leaves.get(leaf)?.is !== "held";
  const pending = all.filter(isPending);
  const waiting = showPending(pending, leaves);
  const code = state.exitCode ?? 0;
  if (state.status === "exited" && !isEndWanted(all, code, isToEnd)) {
    if (isRestarted(restart, code)) return { kind: "waiting", for: `a restart after exit code ${code}` };
    const memory = state.isOomKilled ? ", killed for its memory" : "";
    // What was seen last may be older than its end; its last lines are told with it.
    const what = pending.length === 0 ? "" : `, while waiting for ${pending.map(showLeaf).join("; ")}`;
    return { kind: "failed", failure: "exited", message: `exited with ${code}${memory}${what}` };
  }
  if (pending.length === 0) return { kind: "ready" };
  if (state.status === "exited" && isLast)
    return { kind: "failed", failure: "exited", message: `exited with ${code} without ${waiting}` };
  for (const leaf of pending) {
    const sight = leaves.get(leaf);
    if (sight?.is === "lost") return { kind: "failed", failure: sight.kind, message: sight.message };
  }
  for (const { deadlineMs, leaves: own } of deadlinesOf(readiness)) {
    const late = own.filter(isPending);
    if (late.length === 0 || waitedMs <= deadlineMs) continue;
    const what = showPending(late, leaves);
    const message = `is not ready after ${formatDuration(deadlineMs)}: waiting for ${what}`;
    return { kind: "failed", failure: "late", message };
  }
  return { kind: "waiting", for: waiting };
}

function isEndWanted(leaves: readonly Leaf[], code: number, isToEnd: boolean): boolean {
  const exits = leaves.filter((leaf) => leaf.form === "exit");
  return exits.length === 0 ? isToEnd && code === 0 : exits.every((exit) => exit.code === code);
}

function showPending(pending: readonly Leaf[], leaves: ReadinessSight["leaves"]): string {
  const show = (leaf: Leaf): string => {
    const sight = leaves.get(leaf);
    const soFar = sight?.is === "pending" ? sight.soFar : undefined;
    return `${showLeaf(leaf)}${soFar === undefined ? "" : ` (${soFar})`}`;
  };
  return pending.map(show).join("; ");
}

const HELD: LeafSight = { is: "held" };
const pendingWith = (soFar: string | undefined): LeafSight => ({ is: "pending", soFar });

export function judgeLog({ match, times }: LogForm, { stdout, stderr }: ContainerLogs): LeafSight {
  const text = `${stdout}${stderr}`;
  const found = occurrences(text, match);
  if (found >= times) return HELD;
  if (text === "") return pendingWith("its log is empty");
  if (found > 0) return pendingWith(`${found} so far`);
  const lines = text.trimEnd().split("\n");
  const near = nearestLine(lines, match);
  if (near === undefined) return pendingWith(`not in its ${lines.length} lines`);
  return pendingWith(`nearest: ${near.text}, line ${near.line} of ${lines.length}`);
}

export function judgeAnswer({ statuses, body }: HttpForm, response: InsideResponse): LeafSight {
  if ("error" in response) return pendingWith(`no answer: ${response.error}: ${response.message}`);
  const { status } = response;
  const isStatus = statuses === undefined ? status >= 100 && status < 400 : statuses.includes(status);
  const isBody = body === undefined || fits(response.body, body);
  return isStatus && isBody ? HELD : pendingWith(`status ${status}, body ${quote(response.body)}`);
}

export function judgePorts({ ports = [] }: PortsForm, sockets: readonly ListeningSocket[]): LeafSight {
  const listening = sockets.filter(({ protocol }) => protocol === "tcp").map(({ port }) => port);
  if (ports.every((port) => listening.includes(port))) return HELD;
  return pendingWith(showListening(sockets));
}

/** The nearest to a port that nobody listens on. */
export function showListening(sockets: readonly ListeningSocket[]): string {
  const ports = sockets.filter(({ protocol }) => protocol === "tcp").map(({ port }) => port);
  return `listening: ${[...new Set(ports)].join(", ") || "none"}`;
}

export function judgeCmd(result: ExecResult): LeafSight {
  if (result.hasTimedOut) return pendingWith(`killed after ${formatDuration(result.tookMs)}`);
  if (result.exitCode === 0) return HELD;
  const last = `${result.stdout}\n${result.stderr}`.trimEnd().split("\n").at(-1) ?? "";
  return pendingWith(`it exits with ${result.exitCode}${last === "" ? "" : `: ${last.slice(0, 200)}`}`);
}

export function judgeExit({ code }: ExitForm, state: ContainerState): LeafSight {
  return state.status === "exited" && state.exitCode === code ? HELD : pendingWith(undefined);
}

export function judgeHealth(state: ContainerState): LeafSight {
  if (state.status !== "running") return pendingWith(undefined);
  const output = state.healthOutput?.trim();
  switch (state.health) {
    case "healthy":
      return HELD;
    case undefined:
      return { is: "lost", kind: "no-healthcheck", message: "should be healthy, and has no healthcheck" };
    case "unhealthy": {
      const message = `is unhealthy: ${output || "its healthcheck fails"}`;
      return { is: "lost", kind: "unhealthy", message };
    }
    case "starting":
      return pendingWith(output ? quote(output) : undefined);
  }
}

/** How often something may not be seen of what runs: a container that starts or ends meanwhile is seen soon. */
const UNSEEN_TIMES = 3;

export function judgeUnseen(leaf: Leaf, { unseen, remedy }: Unseen, times: number): LeafSight {
  if (times < UNSEEN_TIMES) return pendingWith(unseen);
  const what = `waits for ${showLeaf(leaf)}, and that cannot be seen: ${unseen}`;
  return { is: "lost", kind: "unseen", message: remedy === undefined ? what : `${what}\n  ${remedy}` };
}
