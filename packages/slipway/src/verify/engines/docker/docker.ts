/**
 * Checks in containers of a Docker or Podman engine, through its API (dockerode). What an earlier run left there, whose
 * process is gone, is found by its labels and removed.
 */
import { readFileSync } from "node:fs";
import { type Clock, isProcessAlive, type ProcessIdentity, systemProcesses } from "@slipway/base";
import type { Engine, Project, ProjectSpec } from "../engine.ts";
import type { Connection } from "./connect.ts";
import { removeByForce } from "./container.ts";
import { OWNER_LABEL } from "./create-options.ts";
import { type Look, remoteLook } from "./look.ts";
import { createDockerProject, removeIfThere } from "./project.ts";
import { type Ulimit, ulimitsOf } from "./ulimits.ts";

export interface DockerEngineOptions {
  readonly connection: Connection;
  readonly clock: Clock;
  /** For containers that are processes of this machine: how they are looked into. */
  readonly look: (pid: number) => Look;
}

const TITLES = { docker: "Docker", podman: "Podman" };

export function dockerEngine({ connection, clock, look }: DockerEngineOptions): Engine {
  const { docker, kind, version, address, isLocal } = connection;
  const owner = JSON.stringify(systemProcesses().self);
  return {
    name: kind,
    description: `${TITLES[kind]} ${version} (${address.host})`,
    createProject: (spec: ProjectSpec): Promise<Project> =>
      createDockerProject(spec, {
        docker,
        kind,
        clock,
        owner,
        ulimits: kind === "podman" && isLocal ? ownUlimits() : [],
        remote: isLocal ? undefined : address.host,
        look: isLocal ? look : () => remoteLook(`the engine at ${address.host} runs on another machine`),
      }),
    sweep: async () => {
      const filters = { label: [OWNER_LABEL] };
      const containers = (await docker.listContainers({ all: true, filters })).filter(({ Labels }) =>
        isOrphan(Labels),
      );
      for (const { Id } of containers) {
        await removeByForce(docker.getContainer(Id), clock);
      }
      const networks = (await docker.listNetworks({ filters })).filter(({ Labels }) =>
        isOrphan(Labels ?? {}),
      );
      for (const { Id } of networks) await removeIfThere(docker.getNetwork(Id));
      const volumes = (await docker.listVolumes({ filters })).Volumes ?? [];
      const orphans = volumes.filter(({ Labels }) => isOrphan(Labels ?? {}));
      for (const { Name } of orphans) await removeIfThere(docker.getVolume(Name));
      return { containers: containers.length, networks: networks.length, folders: orphans.length };
    },
    close: () => Promise.resolve(),
  };
}

/** One whose owner cannot be judged from here (another machine uses the same engine) is left alone. */
function isOrphan(labels: Readonly<Record<string, string>>): boolean {
  const owner = labels[OWNER_LABEL];
  if (owner === undefined) return false;
  try {
    return isProcessAlive(JSON.parse(owner) as ProcessIdentity) === false;
  } catch {
    return false;
  }
}

export const ownUlimits = (): readonly Ulimit[] =>
  ulimitsOf(
    readFileSync("/proc/self/limits", "utf8"),
    Number(readFileSync("/proc/sys/kernel/pid_max", "utf8")),
  );
