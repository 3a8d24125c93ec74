/**
 * Podman gives every container limits of its own (nofile and nproc of 1048576), which a service that runs under lower
 * hard limits may not raise: nothing starts then. So containers of a Podman of this machine get what we have ourselves,
 * and no more processes than the kernel has numbers for: Podman 4 lowers its own limit to that.
 */
export interface Ulimit {
  readonly Name: string;
  readonly Soft: number;
  readonly Hard: number;
}

const ROWS: readonly (readonly [string, string])[] = [
  ["Max processes", "nproc"],
  ["Max open files", "nofile"],
];

/** `limits`: /proc/self/limits; `pidMax`: /proc/sys/kernel/pid_max. What is unlimited is left to the engine. */
export function ulimitsOf(limits: string, pidMax: number): readonly Ulimit[] {
  return ROWS.flatMap(([title, Name]) => {
    const line = limits.split("\n").find((one) => one.startsWith(title));
    const hard = /^\D+(\d+|unlimited)\s+(\d+|unlimited)/.exec(line ?? "")?.[2];
    if (hard === undefined || hard === "unlimited") return [];
    const most = Name === "nproc" ? Math.min(Number(hard), pidMax) : Number(hard);
    return [{ Name, Soft: most, Hard: most }];
  });
}
