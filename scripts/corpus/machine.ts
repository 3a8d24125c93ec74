/** The processes of the real cluster on this machine: stopped and started by their own id, as its script keeps it. */
import { spawn } from "node:child_process";
import { openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Clock, exec } from "@slipway/base";

export interface Machine {
  /**
   * Several cases at once need a kubelet that may speak: that of 1.20 sends five requests a second, and its news come
   * minutes late. Later versions have these limits from the start (50 since 1.27).
   */
  unthrottle(): Promise<void>;
  stop(program: string): Promise<void>;
  start(program: string): void;
  /** Ends all containers of a namespace, sandboxes too. */
  reboot(namespace: string): Promise<void>;
}

/** `run`: the folder of the cluster, where its pid files are. */
export function machineAt(run: string, clock: Clock): Machine {
  const commands = new Map<string, readonly string[]>();
  const pidOf = (program: string): number => Number(readFileSync(join(run, `${program}.pid`), "utf8"));
  const isAlive = (pid: number): boolean => {
    try {
      // A child of ours that nobody has waited for yet is dead all the same.
      return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
    } catch {
      return false;
    }
  };
  const machine: Machine = {
    unthrottle: async () => {
      const path = join(run, "kubelet.yaml");
      const text = readFileSync(path, "utf8");
      if (text.includes("kubeAPIQPS")) return;
      writeFileSync(path, `${text}kubeAPIQPS: 50\nkubeAPIBurst: 100\neventRecordQPS: 50\neventBurst: 100\n`);
      await machine.stop("kubelet");
      machine.start("kubelet");
    },
    stop: async (program) => {
      const pid = pidOf(program);
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(0, -1);
      commands.set(program, command);
      process.kill(pid, "SIGTERM");
      for (let wait = 0; wait < 50 && isAlive(pid); wait += 1) await clock.sleep(100);
      if (isAlive(pid)) process.kill(pid, "SIGKILL");
    },
    start: (program) => {
      const [file, ...args] = commands.get(program) ?? [];
      if (file === undefined) throw new Error(`${program} was not stopped`);
      const log = openSync(join(run, `${program}.log`), "a");
      const child = spawn(file, args, { detached: true, stdio: ["ignore", log, log] });
      child.unref();
      writeFileSync(join(run, `${program}.pid`), `${child.pid}\n`);
    },
    reboot: async (namespace) => {
      const ctr = ["ctr", "-a", join(run, "containerd/containerd.sock"), "-n", "k8s.io"];
      const list = await exec([
        ...ctr,
        "containers",
        "ls",
        "-q",
        `labels."io.kubernetes.pod.namespace"==${namespace}`,
      ]);
      for (const id of list.stdout.trim().split("\n").filter(Boolean)) {
        await exec([...ctr, "tasks", "kill", "-s", "KILL", id]);
      }
    },
  };
  return machine;
}
