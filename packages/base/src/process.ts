/**
 * Which process left something behind (a lock, a claim), and whether it still runs.
 *
 * A host name and a number are not enough: numbers are given again, a restart gives all of them again, each pid namespace
 * has its own, and machines and containers made from one image have one name. So a process also leaves what tells these
 * apart, as far as its system has it, and the judgement is only as sure as what both sides know: a process that is
 * called dead loses what it holds at once, while one that cannot be judged merely runs out of time.
 */
import { createHmac } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { systemCode } from "./error.ts";

export interface ProcessIdentity {
  readonly host: string;
  readonly pid: number;
  /** Of the kernel since it started (`/proc/sys/kernel/random/boot_id`); the same in all containers on it. */
  readonly bootId?: string | undefined;
  /** When the process began, in the kernel's ticks since boot: with the pid it names one process of this boot. */
  readonly startTicks?: string | undefined;
  /** In which the pid counts: `pid:[4026531836]`. */
  readonly pidNamespace?: string | undefined;
  /** Of the installed system, made from `/etc/machine-id`, which itself is not to be shown to others (machine-id(5)). */
  readonly machineId?: string | undefined;
}

/** What can be seen from here: who we are, and which processes there are. */
export interface Processes {
  readonly self: ProcessIdentity;
  /** Undefined when no process has this number; without `startTicks` where the system does not tell them. */
  find(pid: number): { readonly startTicks: string | undefined } | undefined;
}

/** The kernel gives this number to the namespace of the machine itself (PROC_PID_INIT_INO), whichever kernel it is. */
const MACHINES_OWN_PID_NAMESPACE = "pid:[4026531836]";

/** False when it is known to be gone; undefined when that cannot be known from here. */
export function isProcessAlive(
  process: ProcessIdentity,
  { self, find }: Processes = systemProcesses(),
): boolean | undefined {
  if (process.host !== self.host || !Number.isInteger(process.pid) || process.pid <= 0) return undefined;
  // Another boot is a machine that has restarted, or another machine of that name, where it may well be running.
  if (differ(process.bootId, self.bootId)) return isSameMachine(process, self) ? false : undefined;
  if (differ(process.pidNamespace, self.pidNamespace)) return undefined;
  const found = find(process.pid);
  return found !== undefined && !differ(process.startTicks, found.startTicks);
}

/** Of containers this cannot be said: a machine id that they have came with their image. */
function isSameMachine(a: ProcessIdentity, b: ProcessIdentity): boolean {
  return (
    a.machineId !== undefined &&
    a.machineId === b.machineId &&
    a.pidNamespace === MACHINES_OWN_PID_NAMESPACE &&
    b.pidNamespace === MACHINES_OWN_PID_NAMESPACE
  );
}

/** Both are known, and not the same. */
function differ(a: string | undefined, b: string | undefined): boolean {
  return a !== undefined && b !== undefined && a !== b;
}

export function systemProcesses(): Processes {
  return { self: thisProcess(), find: findProcess };
}

export function thisProcess(): ProcessIdentity {
  return {
    host: hostname(),
    pid: process.pid,
    bootId: bootId(),
    startTicks: known(() => startTicksOf(process.pid)),
    pidNamespace: known(() => readlinkSync("/proc/self/ns/pid")),
    machineId: machineId(),
  };
}

function findProcess(pid: number): { readonly startTicks: string | undefined } | undefined {
  const stat = known(() => statOf(pid));
  if (stat !== undefined) return stat.hasEnded ? undefined : { startTicks: stat.startTicks };
  // No /proc, or one that hides the processes of others (hidepid): only whether the number is in use can be asked.
  try {
    process.kill(pid, 0);
    return { startTicks: undefined };
  } catch (error) {
    return systemCode(error) === "EPERM" ? { startTicks: undefined } : undefined;
  }
}

/**
 * Undefined when there is no such process, only its exit status that nobody has fetched yet, or no /proc. Throws when
 * that cannot be told (too many open files).
 */
export function startTicksOf(pid: number): string | undefined {
  const stat = statOf(pid);
  return stat?.hasEnded === false ? stat.startTicks : undefined;
}

function statOf(pid: number): ProcessStat | undefined {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch (error) {
    if (systemCode(error) === "ENOENT" || systemCode(error) === "ESRCH") return undefined;
    throw error;
  }
}

export interface ProcessStat {
  readonly hasEnded: boolean;
  readonly startTicks: string | undefined;
}

/**
 * Fields 3, 20 and 22 of /proc/PID/stat (proc_pid_stat(5)); the name before them may hold spaces and brackets. A process
 * whose first thread has ended is a zombie (Z) already while the others still run: the first process of a PID namespace has
 * ended, and all that is in that with it, when its last thread has.
 */
export function parseStat(text: string): ProcessStat {
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const isZombie = fields[0] === "Z" || fields[0] === "X";
  return { hasEnded: isZombie && Number(fields[17]) <= 1, startTicks: fields[19] };
}

export function bootId(): string | undefined {
  return known(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim());
}

function machineId(): string | undefined {
  const id = known(() => readFileSync("/etc/machine-id", "utf8").trim());
  // systemd writes "uninitialized" into an image that is to get one at its first start.
  if (id === undefined || !/^[0-9a-f]{32}$/.test(id)) return undefined;
  return createHmac("sha256", id).update("slipway").digest("hex").slice(0, 32);
}

function known<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
