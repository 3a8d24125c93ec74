/** What gates and hooks need from this machine: HTTP, programs, variables, who counts requests, the terminal. */
import { exec } from "@slipway/base";
import type { EdgeStatus } from "../edge/edge.ts";
import type { GatePorts, RequestCounter } from "../release/gates/gate.ts";
import type { Target } from "../release/model.ts";
import { callWorld } from "../world/control.ts";
import type { CliContext } from "./command.ts";
import { type Project, requireWorld } from "./project.ts";

const BODY_BYTES = 1_000_000;

export function gatePortsOf(context: CliContext, project: Project, targets: readonly Target[]): GatePorts {
  return {
    async get(url, { headers = {}, signal }) {
      const answer = await fetch(url, { headers, signal, redirect: "manual" }).catch((error: unknown) => {
        // fetch says "fetch failed"; what failed is the cause.
        throw error instanceof Error && error.cause instanceof Error ? error.cause : error;
      });
      const body = (await answer.text()).slice(0, BODY_BYTES);
      return { status: answer.status, headers: Object.fromEntries(answer.headers), body };
    },
    async run(command, { env, signal, onLine }) {
      let rest = "";
      const { exitCode } = await exec(command, {
        cwd: project.config.root,
        env: { ...context.env, ...env },
        signal,
        onOutput(text) {
          const lines = (rest + text).split("\n");
          rest = lines.pop() ?? "";
          for (const line of lines) onLine(line);
        },
      });
      if (rest !== "") onLine(rest);
      return { exitCode };
    },
    variable: (name) => context.env[name],
    served: counterOf(context, project, targets),
    ask: context.isTerminal && process.stdin.isTTY ? (_question, signal) => typedAnswer(signal) : undefined,
  };
}

/** Only local clusters stand behind an edge of ours; elsewhere collectors read what the pods log. */
function counterOf(
  { clock }: CliContext,
  project: Project,
  targets: readonly Target[],
): RequestCounter | undefined {
  const { name: service, namespace, isLocal, observe } = project.config;
  if (isLocal) {
    return {
      by: "edge",
      async count() {
        const world = await requireWorld(project);
        const { edgeStatus } = await callWorld<{ edgeStatus: EdgeStatus | null }>(world, "status");
        return { counts: edgeStatus?.served ?? [], missing: [] };
      },
    };
  }
  if (observe === undefined) return undefined;
  return {
    by: "collectors",
    async count(question) {
      // Of the commands that plug this in, few ask a gate.
      const { reachCollector } = await import("../observer/reach-collector.ts");
      const { countServed } = await import("../observer/served.ts");
      const clusters = targets.map(({ name, client }) => ({
        name,
        reach: () => reachCollector(name, client, { namespace, service }),
      }));
      return countServed(clusters, clock, question);
    },
  };
}

/**
 * `y` or `n` and Enter. The question itself stands on the screen as what the gate waits for. Keys are read without
 * echo: what is typed would push the moving lines down.
 */
function typedAnswer(signal: AbortSignal): Promise<{ readonly approved: boolean } | undefined> {
  const { stdin } = process;
  return new Promise((resolve) => {
    let typed = "";
    const end = (answer: { readonly approved: boolean } | undefined): void => {
      stdin.off("data", onKeys).setRawMode(false).pause();
      signal.removeEventListener("abort", onAbort);
      resolve(answer);
    };
    const onAbort = (): void => end(undefined);
    const onKeys = (keys: Buffer): void => {
      for (const key of keys.toString()) {
        // Without echo a terminal sends no signal for Ctrl-C either.
        if (key === "\x03") process.kill(process.pid, "SIGINT");
        else if (key !== "\r" && key !== "\n") typed += key;
        else if (/^(?:y|yes|n|no)$/i.test(typed.trim())) {
          return end({ approved: typed.trim().toLowerCase().startsWith("y") });
        } else typed = "";
      }
    };
    if (signal.aborted) return resolve(undefined);
    signal.addEventListener("abort", onAbort, { once: true });
    stdin.setRawMode(true).on("data", onKeys).resume();
  });
}
