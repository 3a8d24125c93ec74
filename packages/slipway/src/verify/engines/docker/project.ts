/** The containers, networks and volumes of one run. Everything carries the run's labels, so that a sweep finds it. */
import { type Clock, SlipwayError } from "@slipway/base";
import type Docker from "dockerode";
import { ImageLayout } from "../../../images/layout.ts";
import type { Container, Project, ProjectSpec, ServiceSpec } from "../engine.ts";
import { healthcheckOf, stopSignalOf } from "../image.ts";
import { DockerContainer, statusOf } from "./container.ts";
import { type CreateNames, createOptions, labelsOf, laterNetworks } from "./create-options.ts";
import type { EngineKind } from "./find.ts";
import { type LoadedImage, loadImage } from "./images.ts";
import type { Look } from "./look.ts";
import type { Ulimit } from "./ulimits.ts";

export interface DockerProjectOptions {
  readonly docker: Docker;
  readonly kind: EngineKind;
  readonly clock: Clock;
  readonly owner: string;
  readonly ulimits: readonly Ulimit[];
  /** The address of an engine of another machine, which sees no folder of this one. */
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
    if (remote !== undefined) refuseBinds(this.spec, remote);
    const isAlone = this.spec.isAlone === true && (await hasDefaultNetwork(this.#options));
    const names = {
      isAlone,
      project: this.spec.name,
      owner: this.#options.owner,
      ulimits: this.#options.ulimits,
      network: (name: string) => (isAlone ? DEFAULT_NETWORK : `${this.spec.name}-${name}`),
      volume: (name: string) => `${this.spec.name}-${name}`,
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
    const { services } = this.spec;
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
    for (const service of services) {
      const image = await imageOf(service);
      await this.#createContainer(service, { ...names, image: image.name }, image.config);
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

/** It would make empty folders of that name over there, and the checks would be about these. */
export function refuseBinds({ name: project, services }: ProjectSpec, remote: string): void {
  const problems = services.flatMap(({ name, mounts }) =>
    mounts.flatMap((mount) =>
      mount.kind === "bind" ? [`services/${name}/volumes: ${mount.source}:${mount.path}`] : [],
    ),
  );
  if (problems.length === 0) return;
  throw new SlipwayError({
    code: "ENGINE_UNSUPPORTED",
    where: `project ${project}`,
    message: `the engine at ${remote} runs on another machine and does not see files of this one:\n  ${problems.join("\n  ")}`,
    hint: "Copy them into the image, or run the project here: --engine sandbox.",
    exitCode: 2,
  });
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

export async function removeIfThere(thing: { remove(): Promise<unknown> }): Promise<void> {
  try {
    await thing.remove();
  } catch (error) {
    if (statusOf(error) !== NOT_FOUND) throw error;
  }
}
