/** The images of a project's services: built from their contexts without a daemon, or pulled. */
import { type BuildEvent, type BuildOptions, buildImages } from "../../images/build.ts";
import type { BuiltImage } from "../../images/image.ts";
import type { ImageLayout } from "../../images/layout.ts";
import { readImage } from "../../images/source.ts";
import type { ExposedPort, ProjectSpec } from "../engines/engine.ts";
import type { ComposeProject, ComposeService } from "./model.ts";
import { projectSpec } from "./project.ts";

export type ImageBuild = Pick<
  BuildOptions,
  "layout" | "registry" | "commitTimeMs" | "revision" | "versions" | "isLocal" | "allowHostBases" | "signal"
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
  const built = await buildImages({ ...build, images: sources });
  const imageOf = (service: ComposeService): BuiltImage =>
    built.find(({ name }) => name === nameOf.get(service.name)) as BuiltImage;
  const exposed = new Map<string, readonly ExposedPort[]>();
  for (const service of project.services)
    exposed.set(service.name, await exposedBy(build.layout, imageOf(service)));
  return projectSpec(project, imageOf, (service) => exposed.get(service.name) ?? []);
}

/** `EXPOSE` of the image. */
async function exposedBy(layout: ImageLayout, image: BuiltImage): Promise<readonly ExposedPort[]> {
  const found = await readImage(layout, image.name, image.digest);
  return Object.keys(found?.config.config?.ExposedPorts ?? {}).map((written) => {
    const [port, protocol] = written.split("/");
    return { port: Number(port), protocol: protocol === "udp" ? "udp" : "tcp" };
  });
}

/** A repository's name has fewer letters than a service's. */
function imageName(project: ComposeProject, service: ComposeService): string {
  const plain = `${project.name}/${service.name}`.toLowerCase().replaceAll(/[._-]{2,}/g, "-");
  return plain.replaceAll(/(^|\/)[._-]+|[._-]+(?=\/|$)/g, "$1");
}
