/** A service's mounts as the sandbox has them. */
import { mkdirSync } from "node:fs";
import type { ContainerMount } from "@slipway/cluster/sandbox";
import type { ServiceMount } from "../engine.ts";

/** As Docker mounts a tmpfs. */
const TMPFS_MODE = 0o1777;

export function containerMounts(mounts: readonly ServiceMount[]): readonly ContainerMount[] {
  return mounts.map(containerMount);
}

function containerMount(mount: ServiceMount, index: number): ContainerMount {
  const { path } = mount;
  switch (mount.kind) {
    case "bind": {
      const volume = `bind-${index}`;
      return { kind: "host", volume, hostPath: mount.source, path, readOnly: mount.isReadOnly };
    }
    case "volume":
      return { kind: "shared", volume: mount.volume, path, readOnly: mount.isReadOnly };
    case "tmpfs":
      return { kind: "empty", volume: `tmpfs-${index}`, path, readOnly: false, mode: TMPFS_MODE };
  }
}

/** As `docker run --volume` does: a folder of this machine that is not there yet is made. */
export function makeBindSources(mounts: readonly ServiceMount[]): void {
  for (const mount of mounts) if (mount.kind === "bind") makeIfAbsent(mount.source);
}

function makeIfAbsent(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
  } catch {
    // a file, which is as good; anything else is told when it is mounted
  }
}
