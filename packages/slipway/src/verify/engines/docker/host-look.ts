/**
 * Looking into a container that is a process of this machine: /proc is read here, and what needs the container's network
 * is asked by a helper that enters it. For root, as engines of the whole machine are; a rootless engine's containers lie
 * in a user namespace that only the helper can enter.
 */
import { readlinkSync } from "node:fs";
import { findTool } from "@slipway/cluster/sandbox";
import type { Unseen } from "../engine.ts";
import { InsideHelper } from "../inside/helper.ts";
import { processesOf } from "../inside/processes.ts";
import { filesIn } from "../inside/root.ts";
import { socketsOf } from "../inside/sockets.ts";
import type { Look } from "./look.ts";

/** `pid`: of the container's first process, in our pid namespace. */
export function hostLook(pid: number): Look {
  let helper: InsideHelper | undefined;
  const network = async <T extends object>(
    ask: (helper: InsideHelper) => Promise<T>,
  ): Promise<T | Unseen> => {
    const nsenter = findTool("nsenter");
    if (nsenter === undefined) {
      return { unseen: "this machine has no nsenter", remedy: "Install util-linux." };
    }
    return seen(() => {
      helper ??= new InsideHelper({ nsenter, pid, hasUserNamespace: hasOtherUserNamespace(pid) });
      return ask(helper);
    });
  };
  return {
    execs: 0,
    files: () => seen(() => filesIn(`/proc/${pid}/root`)),
    processes: () => seen(() => processesOf(pid)),
    sockets: () => seen(() => socketsOf(pid)),
    http: (request) => network((inside) => inside.ask({ do: "http", request })),
    reach: (host, port, timeoutMs) => network((inside) => inside.ask({ do: "reach", host, port, timeoutMs })),
    resolve: (name, timeoutMs) => network((inside) => inside.ask({ do: "resolve", name, timeoutMs })),
    close: () => helper?.close(),
  };
}

const hasOtherUserNamespace = (pid: number): boolean =>
  readlinkSync(`/proc/${pid}/ns/user`) !== readlinkSync("/proc/self/ns/user");

async function seen<T extends object>(see: () => T | Promise<T>): Promise<T | Unseen> {
  try {
    return await see();
  } catch (error) {
    return {
      unseen: `cannot look inside: ${error instanceof Error ? error.message : String(error)}`,
      remedy: "Run the checks as the user who runs the engine, or use --engine sandbox.",
    };
  }
}
