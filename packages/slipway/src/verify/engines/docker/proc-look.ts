/**
 * Looking into a container of an engine on this machine: its files, processes and sockets from /proc, requests by the
 * helper in its network. Needs root, as every look into another user's processes does.
 */
import { existsSync } from "node:fs";
import type { Unseen } from "../engine.ts";
import { InsideHelper } from "../inside/helper.ts";
import { processesOf } from "../inside/processes.ts";
import { filesIn } from "../inside/root.ts";
import { socketsOf } from "../inside/sockets.ts";
import type { Look } from "./look.ts";

/** `nsenter`: absolute path of this machine's (util-linux). */
export function procLook(pid: number, nsenter: string | undefined): Look {
  let helper: InsideHelper | undefined;
  const isRoot = process.getuid?.() === 0;
  const read = async <T extends object>(look: () => T): Promise<T | Unseen> => {
    if (!isRoot) return NOT_ROOT;
    if (!existsSync(`/proc/${pid}`)) return GONE;
    return look();
  };
  const inside = async <T extends object>(ask: (helper: InsideHelper) => Promise<T>): Promise<T | Unseen> => {
    if (!isRoot) return NOT_ROOT;
    if (nsenter === undefined) return NO_NSENTER;
    if (!existsSync(`/proc/${pid}`)) return GONE;
    helper ??= new InsideHelper({ nsenter, pid, hasUserNamespace: false });
    return ask(helper);
  };
  return {
    files: () => read(() => filesIn(`/proc/${pid}/root`)),
    processes: () => read(() => processesOf(pid)),
    sockets: () => read(() => socketsOf(pid)),
    http: (request) => inside((one) => one.ask({ do: "http", request })),
    reach: (host, port, timeoutMs) => inside((one) => one.ask({ do: "reach", host, port, timeoutMs })),
    resolve: (name, timeoutMs) => inside((one) => one.ask({ do: "resolve", name, timeoutMs })),
    execs: 0,
    close: () => helper?.close(),
  };
}

const GONE: Unseen = { unseen: "the container does not run" };
const NO_NSENTER: Unseen = { unseen: "this machine has no nsenter", remedy: "Install util-linux." };
const NOT_ROOT: Unseen = {
  unseen: "only root may look into the engine's containers through /proc",
  remedy: "Run slipway verify as root, or with --engine sandbox.",
};
