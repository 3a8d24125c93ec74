/** The containers, networks and volumes of one run. Everything carries the run's labels, so that a sweep finds it. */
import { Readable } from "node:stream";
import { type Clock, SlipwayError } from "@slipway/base";
import type Docker from "dockerode";
import { ImageLayout } from "../../../images/layout.ts";
import type { Container, Project, ProjectSpec, ServiceSpec } from "../engine.ts";
import { healthcheckOf, stopSignalOf } from "../image.ts";
import { fileArchive, folderArchive, kindOnThisMachine } from "./archive.ts";
import { DockerContainer, removeByForce } from "./container.ts";
import { type Copies, planCopies } from "./copies.ts";
import { type CreateNames, createOptions, labelsOf, laterNetworks } from "./create-options.ts";
import type { EngineKind } from "./find.ts";
import { type LoadedImage, loadImage } from "./images.ts";
import type { Look } from "./look.ts";
import { statusOf } from "./status.ts";
import type { Ulimit } from "./ulimits.ts";

export interface DockerProjectOptions {
  readonly docker: Docker;
  readonly kind: EngineKind;
  readonly clock: Clock;
  readonly owner: string;
  readonly ulimits: readonly Ulimit[];
  /** The address of an engine of another machine, which sees no folder of this one: it gets copies. */
  readonly remote: string | undefined;
  readonly look: (pid: number) => Look;
}

const NOT_FOUND = 404;
/** Docker's, unless its daemon was told to have none. */
const DEFAULT_NETWORK = "bridge";

export async function createDockerProject(
  spec: ProjectSpec,
  options: DockerProjectOptions,
): Promise<DockerProject> {
  const project = new DockerProject(spec, options);
  try {
    await project.create();
    return project;
  } catch (error) {
    await project.remove();
    throw error;
  }
}

export class DockerProject implements Project {
  readonly spec: ProjectSpec;
  readonly #options: DockerProjectOptions;
  readonly #containers = new Map<string, DockerContainer>();
  readonly #networks: Docker.Network[] = [];
  readonly #volumes: Docker.Volume[] = [];
  #removal: Promise<void> | undefined;

  constructor(spec: ProjectSpec, options: DockerProjectOptions) {
    this.spec = spec;
    this.#options = options;
  }

  async create(): Promise<void> {
    const { docker, remote } = this.#options;
    const { services, folders, files }: Copies =
      remote === undefined
        ? { services: this.spec.services, folders: [], files: [] }
        : planCopies(this.spec, kindOnThisMachine, remote);
    const isAlone = this.spec.isAlone === true && (await hasDefaultNetwork(this.#options));
    const names = {
      isAlone,
      project: this.spec.name,
      owner: this.#options.owner,
      ulimits: this.#options.ulimits,
      network: (name: string) => (isAlone ? DEFAULT_NETWORK : `${this.spec.name}-${name}`),
      volume: (name: string) => `${this.spec.name}-${name}`,
      hiding: new Set(folders.map(({ volume }) => volume)),
    };
    const labels = labelsOf(names);
    const images = new Map<string, Promise<LoadedImage>>();
    const imageOf = (service: ServiceSpec): Promise<LoadedImage> => {
      const known = images.get(service.image.digest);
      const loaded =
        known ??
        ImageLayout.open(service.image.layout).then((layout) => loadImage(docker, layout, service.image));
      images.set(service.image.digest, loaded);
      return loaded;
    };
    const networks = isAlone ? [] : services.flatMap((service) => service.networks.map(({ name }) => name));
    for (const name of new Set(networks)) {
      this.#networks.push(
        await docker.createNetwork({ Name: names.network(name), Driver: "bridge", Labels: labels }),
      );
    }
    const volumes = services.flatMap(({ mounts }) =>
      mounts.flatMap((mount) => (mount.kind === "volume" ? [mount.volume] : [])),
    );
    for (const name of new Set(volumes)) {
      await docker.createVolume({ Name: names.volume(name), Labels: labels });
      this.#volumes.push(docker.getVolume(names.volume(name)));
    }
    const [first] = services;
    if (folders.length > 0 && first !== undefined)
      await this.#fill(folders, { ...names, image: (await imageOf(first)).name });
    for (const service of services) {
      const image = await imageOf(service);
      await this.#createContainer(service, { ...names, image: image.name }, image.config);
    }
    for (const { service, source, path } of files) {
      const container = this.#containers.get(service)?.id ?? "";
      await put(docker.getContainer(container), "/", fileArchive(source, path.slice(1)));
    }
  }

  /** Through a container that never starts and has them all: one that has them read-only takes nothing. */
  async #fill(folders: Copies["folders"], names: CreateNames): Promise<void> {
    const { docker, clock, kind } = this.#options;
    const places = folders.map((folder) => ({ ...folder, at: `/from-here/${folder.volume}` }));
    const filling = await docker.createContainer({
      name: `${names.project}--filling`,
      Image: names.image,
      Entrypoint: ["never-started"],
      Labels: labelsOf(names),
      Healthcheck: { Test: ["NONE"] },
      HostConfig: {
        NetworkMode: "none",
        Binds: places.map(({ volume, at }) => `${names.volume(volume)}:${at}:nocopy`),
      },
    });
    try {
      for (const { source, files, at, volume } of places) {
        // Podman finds a volume only by a path in it, and leaves its root to whom it starts first with it.
        const [path, root] = kind === "docker" ? ["/from-here", volume] : [at, ""];
        if (source !== undefined) await put(filling, path, folderArchive(source, root));
        for (const file of files) await put(filling, at, fileArchive(file.source, file.path));
      }
    } finally {
      await removeByForce(filling, clock);
    }
  }

  async #createContainer(
    service: ServiceSpec,
    names: CreateNames,
    image: LoadedImage["config"],
  ): Promise<void> {
    const { docker, clock, look } = this.#options;
    const made = await docker.createContainer(createOptions(service, names));
    this.#containers.set(
      service.name,
      new DockerContainer({
        docker,
        clock,
        id: made.id,
        service,
        stopSignal: stopSignalOf(image, service) ?? "SIGTERM",
        healthcheck: healthcheckOf(image, service),
        look,
        registersLate: this.#options.kind === "podman",
      }),
    );
    for (const { network, endpoint } of laterNetworks(service, names)) {
      await docker.getNetwork(network).connect({ Container: made.id, EndpointConfig: endpoint });
    }
  }

  container(service: string): Container {
    const container = this.#containers.get(service);
    if (container !== undefined) return container;
    throw new SlipwayError({
      code: "SERVICE_UNKNOWN",
      where: service,
      message: `there is no service "${service}"; there are ${[...this.#containers.keys()].join(", ") || "none"}`,
      exitCode: 2,
    });
  }

  remove(): Promise<void> {
    this.#removal ??= this.#remove();
    return this.#removal;
  }

  async #remove(): Promise<void> {
    await Promise.all([...this.#containers.values()].map((container) => container.remove()));
    await Promise.all([...this.#networks, ...this.#volumes].map(removeIfThere));
  }
}

/**
 * Whether the container goes where `docker run` puts it: making and removing a bridge takes longer than all checks of an
 * image. Podman's answer for the same is another network, and it makes its own faster.
 */
async function hasDefaultNetwork({ docker, kind }: DockerProjectOptions): Promise<boolean> {
  if (kind !== "docker") return false;
  try {
    await docker.getNetwork(DEFAULT_NETWORK).inspect();
    return true;
  } catch (error) {
    if (statusOf(error) === NOT_FOUND) return false;
    throw error;
  }
}

const put = (
  container: Docker.Container,
  path: string,
  archive: AsyncIterable<Uint8Array>,
): Promise<NodeJS.ReadWriteStream> =>
  container.putArchive(Readable.from(archive, { objectMode: false }), { path });

export async function removeIfThere(thing: { remove(): Promise<unknown> }): Promise<void> {
  try {
    await thing.remove();
  } catch (error) {
    if (statusOf(error) !== NOT_FOUND) throw error;
  }
}
