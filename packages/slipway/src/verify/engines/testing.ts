/** Services and states of containers for tests, with everything defaulted that a test is not about. */
import type { ContainerState, ServiceSpec } from "./engine.ts";

export function aService(name: string, over: Partial<ServiceSpec> = {}): ServiceSpec {
  return {
    name,
    image: { name, digest: `sha256:${"0".repeat(64)}`, reference: undefined, layout: "/nowhere" },
    entrypoint: undefined,
    command: undefined,
    environment: {},
    user: undefined,
    workingDir: undefined,
    hostname: undefined,
    networks: [{ name: "default", aliases: [] }],
    extraHosts: [],
    mounts: [],
    exposed: [],
    published: [],
    healthcheck: undefined,
    dependsOn: [],
    stopSignal: undefined,
    stopGraceMs: 10_000,
    isReadOnly: false,
    restart: "no",
    hasInit: false,
    ...over,
  };
}

/** Of one that runs. */
export function aState(over: Partial<ContainerState> = {}): ContainerState {
  return {
    status: "running",
    exitCode: undefined,
    signal: undefined,
    isOomKilled: false,
    restarts: 0,
    startedAtMs: 0,
    finishedAtMs: undefined,
    health: undefined,
    healthOutput: undefined,
    ...over,
  };
}
