/** What gates and hooks need from this machine: HTTP, programs, variables, the edge's counters, the terminal. */
import { createInterface } from "node:readline/promises";
import { exec } from "@slipway/base";
import type { EdgeStatus } from "../edge/edge.ts";
import type { GatePorts } from "../release/gates/gate.ts";
import { callWorld } from "../world/control.ts";
import type { CliContext } from "./command.ts";
import { type Project, requireWorld } from "./project.ts";

const BODY_BYTES = 1_000_000;

export function gatePortsOf(context: CliContext, project: Project): GatePorts {
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
    // Only local clusters stand behind an edge of ours.
    served: project.config.isLocal
      ? async () => {
          const world = await requireWorld(project);
          const { edgeStatus } = await callWorld<{ edgeStatus: EdgeStatus | null }>(world, "status");
          return edgeStatus?.served ?? [];
        }
      : undefined,
    ask:
      context.isTerminal && process.stdin.isTTY
        ? async (_question, signal) => {
            const lines = createInterface({ input: process.stdin });
            try {
              // The question itself stands above, as what the gate waits for.
              const said = await lines.question("", { signal });
              return { approved: /^(?:y|yes)$/i.test(said.trim()) };
            } catch {
              return undefined;
            } finally {
              lines.close();
            }
          }
        : undefined,
  };
}
