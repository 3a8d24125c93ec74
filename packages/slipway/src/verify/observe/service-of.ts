/** An image as the only service of a project. */
import type { RunOptions } from "../check.ts";
import type { ServiceSpec } from "../engines/engine.ts";
import type { ImageView } from "./image-view.ts";

export function serviceOf({ image, config }: ImageView, run: RunOptions): ServiceSpec {
  const ports = Object.keys(config.config.ExposedPorts ?? {}).flatMap((text) => {
    const match = /^(\d+)(?:\/(tcp|udp))?$/.exec(text);
    return match === null ? [] : [{ port: Number(match[1]), protocol: (match[2] ?? "tcp") as "tcp" | "udp" }];
  });
  return {
    name:
      image.name
        .toLowerCase()
        .replaceAll(/[^a-z0-9-]+/g, "-")
        .replaceAll(/^-+|-+$/g, "")
        .slice(0, 40) || "image",
    image,
    entrypoint: run.entrypoint,
    command: run.command,
    environment: run.environment ?? {},
    user: run.user,
    workingDir: undefined,
    hostname: undefined,
    networks: [{ name: "default", aliases: [] }],
    extraHosts: [],
    mounts: [],
    exposed: ports,
    published: [],
    healthcheck: undefined,
    dependsOn: [],
    stopSignal: config.config.StopSignal,
    stopGraceMs: 10_000,
    isReadOnly: false,
    restart: "no",
    hasInit: false,
  };
}
