import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { isProcessAlive, type ProcessIdentity, parseStat, systemProcesses, thisProcess } from "./process.ts";

const MACHINE = "pid:[4026531836]";
const CONTAINER = "pid:[4026532501]";

const whole: ProcessIdentity = {
  host: "laptop",
  pid: 4711,
  bootId: "boot-1",
  startTicks: "1000",
  pidNamespace: MACHINE,
  machineId: "machine-1",
};
const old: ProcessIdentity = { host: "laptop", pid: 4711 };
const inContainer: ProcessIdentity = { ...whole, host: "runner", pidNamespace: CONTAINER };

interface Row {
  readonly what: string;
  readonly process: ProcessIdentity;
  /** How we differ from it. */
  readonly self?: Partial<ProcessIdentity>;
  /** What its number finds here: start ticks, a process that does not tell them, or none. */
  readonly found: string | "untold" | "none";
  readonly isAlive: boolean | undefined;
}

const rows: readonly Row[] = [
  { what: "the process itself", process: whole, found: "1000", isAlive: true },
  { what: "no such number", process: whole, found: "none", isAlive: false },
  { what: "its number was given again", process: whole, found: "2000", isAlive: false },
  { what: "start times are hidden here", process: whole, found: "untold", isAlive: true },
  { what: "another host", process: whole, self: { host: "ci" }, found: "none", isAlive: undefined },
  { what: "no number was left", process: { ...whole, pid: 0 }, found: "1000", isAlive: undefined },
  { what: "not a number", process: { ...whole, pid: Number.NaN }, found: "none", isAlive: undefined },

  {
    what: "the machine has restarted",
    process: whole,
    self: { bootId: "boot-2" },
    found: "1000",
    isAlive: false,
  },
  {
    what: "another machine of that name",
    process: whole,
    self: { bootId: "boot-2", machineId: "machine-2" },
    found: "none",
    isAlive: undefined,
  },
  {
    what: "machines that tell no machine id",
    process: { ...whole, machineId: undefined },
    self: { bootId: "boot-2" },
    found: "none",
    isAlive: undefined,
  },
  {
    what: "two containers of one image on two machines",
    process: inContainer,
    self: { bootId: "boot-2" },
    found: "none",
    isAlive: undefined,
  },
  {
    what: "a container on another machine, which has our name",
    process: inContainer,
    self: { bootId: "boot-2", pidNamespace: MACHINE },
    found: "none",
    isAlive: undefined,
  },

  { what: "the same container", process: inContainer, found: "1000", isAlive: true },
  { what: "the same container, its number given again", process: inContainer, found: "2000", isAlive: false },
  {
    what: "two containers of one name on one machine",
    process: inContainer,
    self: { pidNamespace: "pid:[4026532777]" },
    found: "none",
    isAlive: undefined,
  },
  {
    what: "seen from the machine, where the number is another's",
    process: inContainer,
    self: { pidNamespace: MACHINE },
    found: "2000",
    isAlive: undefined,
  },

  { what: "left by an older version, in use", process: old, found: "2000", isAlive: true },
  { what: "left by an older version, not in use", process: old, found: "none", isAlive: false },
  {
    what: "here nothing more is known",
    process: whole,
    self: { bootId: undefined, startTicks: undefined, pidNamespace: undefined, machineId: undefined },
    found: "untold",
    isAlive: true,
  },
];

for (const { what, process, self, found, isAlive } of rows) {
  test(`is it alive? ${what}: ${isAlive ?? "cannot be known"}`, () => {
    const processes = {
      self: { ...whole, host: process.host, pidNamespace: process.pidNamespace ?? MACHINE, pid: 1, ...self },
      find: (pid: number) => {
        assert.equal(pid, process.pid);
        return found === "none" ? undefined : { startTicks: found === "untold" ? undefined : found };
      },
    };
    assert.equal(isProcessAlive(process, processes), isAlive);
  });
}

test("this process is alive, and one that has ended is not", async () => {
  const self = thisProcess();
  assert.equal(isProcessAlive(self), true);
  const child = spawn(process.execPath, ["--eval", ""], { stdio: "ignore" });
  await once(child, "exit");
  assert.equal(isProcessAlive({ ...self, pid: child.pid as number, startTicks: undefined }), false);
});

test("where the system tells start times, a number that was given again is known", (t) => {
  const { self, find } = systemProcesses();
  if (self.startTicks === undefined) return t.skip("no /proc");
  assert.deepEqual(find(self.pid), { startTicks: self.startTicks });
  assert.equal(isProcessAlive({ ...self, startTicks: `${self.startTicks}0` }), false);
});

/** As Linux writes it, with that state and number of threads. */
const statOf = (name: string, state: string, threads: number): string =>
  `8926 (${name}) ${state} 8925 8923 9099 0 -1 4227084 2950 6572 1 0 4 1 3 2 20 0 ${threads} 0 3919126 0 0 18446744073709551615 0 0 0`;

for (const [what, text, hasEnded] of [
  ["one that sleeps", statOf("node", "S", 11), false],
  ["one that has ended, and nobody has asked how", statOf("node", "Z", 1), true],
  ["one of which the kernel has taken down all", statOf("node", "X", 0), true],
  ["one of which only the first thread has ended", statOf("node", "Z", 2), false],
  ["one whose name looks like a state", statOf("a) Z 1 (b", "R", 1), false],
] as const)
  test(`has ended? ${what}: ${hasEnded}`, () => {
    assert.deepEqual(parseStat(text), { hasEnded, startTicks: "3919126" });
  });
