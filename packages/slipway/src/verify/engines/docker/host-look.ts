/**
 * Looking into a container that is a process of this machine: /proc is read here, and what needs the container's network
 * is asked by a helper that enters it. For root, as engines of the whole machine are; a rootless engine's containers lie
 * in a user namespace that only the helper can enter.
 */
import { readFileSync, readlinkSync } from "node:fs";
import { findTool } from "@slipway/cluster/sandbox";
import type { Unseen } from "../engine.ts";
import { InsideHelper } from "../inside/helper.ts";
import { processesOf } from "../inside/processes.ts";
import { filesIn } from "../inside/root.ts";
import { socketsOf } from "../inside/sockets.ts";
import { type Look, remoteLook } from "./look.ts";

/**
 * `pid`: of the container's first process, as its engine says it. Engines in a virtual machine answer on a socket of this
 * one all the same, and count the machine's processes: here that number is nobody's, or somebody else's.
 */
export function hostLook(pid: number): Look {
  if (!isFirstOfOwnNamespace(statusOf(pid)))
    return remoteLook("the engine's containers are not processes of this machine");
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

/** By /proc/PID/status: a container's first process has the number 1 in a namespace below ours. Pure. */
export function isFirstOfOwnNamespace(status: string): boolean {
  const numbers = /^NSpid:\s*(.*)$/m.exec(status)?.[1]?.trim().split(/\s+/) ?? [];
  return numbers.length > 1 && numbers.at(-1) === "1";
}

/** Empty when there is no such process. */
function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {
    return "";
  }
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
