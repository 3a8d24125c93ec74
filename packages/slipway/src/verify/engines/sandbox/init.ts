/**
 * `init: true`: a process 1 in front of the image's program, which passes signals on and fetches the exit status of what
 * others leave. As in Docker it is a program of this machine, seen at /sbin/docker-init, with the service's user.
 */
import { findTool } from "@slipway/cluster/sandbox";
import { readElf } from "../../../images/host/elf.ts";
import type { ImageConfigFile } from "../../../images/oci.ts";
import type { ServiceMount } from "../engine.ts";

/** Of docker.io, tini-static and catatonit. Those linked to libraries would need them in the image. */
const PROGRAMS = ["docker-init", "tini-static", "catatonit"];
const INSIDE = "/sbin/docker-init";

/** The full path of one; undefined when there is none. */
export async function findInit(): Promise<string | undefined> {
  for (const name of PROGRAMS) {
    const path = findTool(name);
    if (path === undefined) continue;
    const program = await readElf(path).catch(() => undefined);
    if (program !== undefined && program.interpreter === undefined) return path;
  }
  return undefined;
}

export const initMount = (program: string): ServiceMount => ({
  kind: "bind",
  source: program,
  path: INSIDE,
  isReadOnly: true,
});

/** The same configuration with it in front. */
export function behindInit<T extends ImageConfigFile["config"]>(config: T): T {
  return { ...config, Entrypoint: [INSIDE, "--", ...(config.Entrypoint ?? [])] };
}
