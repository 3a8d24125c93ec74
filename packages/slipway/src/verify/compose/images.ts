/** The images of a project's services: built from their contexts without a daemon, or pulled. */
import { stat } from "node:fs/promises";
import { relative } from "node:path";
import { systemCode } from "@slipway/base";
import { type BuildEvent, type BuildOptions, buildImages } from "../../images/build.ts";
import type { BuiltImage } from "../../images/image.ts";
import type { ImageConfigFile } from "../../images/oci.ts";
import { removeOldBuilds } from "../../images/old-builds.ts";
import { readImage } from "../../images/source.ts";
import type { ExposedPort, ProjectSpec } from "../engines/engine.ts";
import type { ComposeProject, ComposeService } from "./model.ts";
import { projectSpec } from "./project.ts";
import { invalid } from "./tree.ts";

export type ImageBuild = Pick<
  BuildOptions,
  | "layout"
  | "registry"
  | "commitTimeMs"
  | "revision"
  | "versions"
  | "isLocal"
  | "allowHostBases"
  | "bases"
  | "signal"
> & {
  /** The project's folder: what paths in messages are relative to. */
  readonly root: string;
  readonly onProgress?: (event: BuildEvent) => void;
};

type Source = BuildOptions["images"][number];

/**
 * One source for each image: services that say the same build, or the same reference, share one. A reference that another
 * service's build is named by is that build.
 */
export function imageSources(project: ComposeProject): {
  readonly sources: readonly Source[];
  readonly nameOf: ReadonlyMap<string, string>;
} {
  const sources = new Map<string, Source>();
  const nameOf = new Map<string, string>();
  const take = (service: ComposeService, key: string, from: Source["from"]): void => {
    const source = sources.get(key) ?? { name: imageName(project, service), from };
    sources.set(key, source);
    nameOf.set(service.name, source.name);
  };
  for (const service of project.services) {
    const build =
      service.build ?? project.services.find((one) => one.build && one.image === service.image)?.build;
    if (build === undefined) {
      take(service, service.image as string, { kind: "ref", ref: service.image as string });
      continue;
    }
    const { context, dockerfile, args, target } = build;
    take(service, JSON.stringify([context, dockerfile, args, target]), {
      kind: "context",
      context,
      dockerfile,
      args,
      ...(target === undefined ? {} : { target }),
    });
  }
  return { sources: [...sources.values()], nameOf };
}

/** Builds and pulls what the project needs, and returns what an engine runs. */
export async function buildProject(project: ComposeProject, build: ImageBuild): Promise<ProjectSpec> {
  const { sources, nameOf } = imageSources(project);
  for (const service of project.services) await checkBuild(service, build.root);
  const built = await buildImages({ ...build, images: sources });
  await removeOldBuilds(build.layout, {
    images: built.map(({ name }) => name),
    needed: built.map(({ digest }) => digest),
  }).catch(() => {}); // another time: nothing of this project is missing
  const imageOf = (service: ComposeService): BuiltImage =>
    built.find(({ name }) => name === nameOf.get(service.name)) as BuiltImage;
  const configs = new Map<string, ImageConfigFile["config"]>();
  const exposed = new Map<string, readonly ExposedPort[]>();
  for (const service of project.services) {
    const { name, digest } = imageOf(service);
    const config = (await readImage(build.layout, name, digest))?.config.config ?? {};
    configs.set(service.name, config);
    exposed.set(service.name, exposedBy(config));
  }
  checkHealthchecks(project, configs);
  return projectSpec(project, imageOf, (service) => exposed.get(service.name) ?? []);
}

/** The mistake is the Compose file's, so its line is told, and before anything else is built. */
async function checkBuild({ name, build, keys, place }: ComposeService, root: string): Promise<void> {
  if (build === undefined) return;
  const at = { place: keys.get("build") ?? place };
  const what = `services/${name}/build`;
  const shown = (path: string): string => relative(root, path) || ".";
  if (!(await is(build.context, "folder"))) {
    throw invalid(
      at,
      `${what}: there is no folder ${shown(build.context)}`,
      "Correct the path of the context.",
    );
  }
  if (!(await is(build.dockerfile, "file"))) {
    const hint = "Put a Dockerfile there, or name it: build: { context, dockerfile }.";
    throw invalid(at, `${what}: there is no ${shown(build.dockerfile)}`, hint);
  }
}

async function is(path: string, kind: "file" | "folder"): Promise<boolean> {
  const found = await stat(path).catch((error: unknown) => {
    if (["ENOENT", "ENOTDIR"].includes(systemCode(error) ?? "")) return undefined;
    throw error;
  });
  return found !== undefined && found.isDirectory() === (kind === "folder");
}

/** Whoever waits for a service to be healthy that nothing checks would wait for ever. */
export function checkHealthchecks(
  project: ComposeProject,
  configs: ReadonlyMap<string, ImageConfigFile["config"]>,
): void {
  for (const { name, dependsOn, keys, place } of project.services) {
    for (const { service, condition } of dependsOn) {
      const other = project.services.find((one) => one.name === service);
      if (condition !== "healthy" || other === undefined) continue;
      const [test = "NONE"] = configs.get(service)?.Healthcheck?.Test ?? [];
      const isChecked = other.healthcheck === undefined ? test !== "NONE" : other.healthcheck !== "none";
      if (isChecked) continue;
      throw invalid(
        { place: keys.get("depends_on") ?? place },
        `services/${name}/depends_on: waits for ${service} to be healthy, and ${service} has no healthcheck, neither in the file nor in its image`,
        `Give ${service} a healthcheck, or wait for service_started.`,
      );
    }
  }
}

/** `EXPOSE` of the image. */
function exposedBy(config: ImageConfigFile["config"]): readonly ExposedPort[] {
  return Object.keys(config.ExposedPorts ?? {}).map((written) => {
    const [port, protocol] = written.split("/");
    return { port: Number(port), protocol: protocol === "udp" ? "udp" : "tcp" };
  });
}

/** A repository's name has fewer letters than a service's. */
function imageName(project: ComposeProject, service: ComposeService): string {
  const plain = `${project.name}/${service.name}`.toLowerCase().replaceAll(/[._-]{2,}/g, "-");
  return plain.replaceAll(/(^|\/)[._-]+|[._-]+(?=\/|$)/g, "$1");
}
