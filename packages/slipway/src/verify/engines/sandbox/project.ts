/** The services of a project in one node agent: a pod each, with the names and the networks that Compose means. */
import { type Clock, SlipwayError } from "@slipway/base";
import type { ResolvedImage, SandboxRuntime } from "@slipway/cluster/sandbox";
import { ImageLayout } from "../../../images/layout.ts";
import { readImage } from "../../../images/source.ts";
import type { Project, ProjectSpec, ServiceSpec } from "../engine.ts";
import { configOf, healthcheckOf, stopSignalOf } from "../image.ts";
import type { RunAgent } from "./agent.ts";
import { CONTAINER, SandboxContainer } from "./container.ts";
import { behindInit, findInit, initMount } from "./init.ts";
import { Looks } from "./looks.ts";
import { makeBindSources } from "./mounts.ts";
import { namesSeenBy, partedFrom } from "./names.ts";
import { publish, publishDatagrams } from "./published.ts";

const POD_PREFIX = "10.244.";

type Image = NonNullable<Awaited<ReturnType<typeof readImage>>>;

export class SandboxProject implements Project {
  readonly spec: ProjectSpec;
  readonly #agent: RunAgent;
  readonly #runtime: SandboxRuntime;
  readonly #clock: Clock;
  readonly #containers = new Map<string, SandboxContainer>();
  readonly #ips = new Map<string, string>();
  #removed: Promise<void> | undefined;

  private constructor(spec: ProjectSpec, agent: RunAgent, clock: Clock) {
    this.spec = spec;
    this.#agent = agent;
    this.#runtime = agent.runtime;
    this.#clock = clock;
  }

  /** Takes the agent over: it goes with the project, and also when the project cannot be made. */
  static async create(spec: ProjectSpec, agent: RunAgent, clock: Clock): Promise<SandboxProject> {
    const project = new SandboxProject(spec, agent, clock);
    try {
      await project.#make();
      return project;
    } catch (error) {
      await project.remove();
      throw error;
    }
  }

  async #make(): Promise<void> {
    const { services } = this.spec;
    const images = new Map(
      await Promise.all(services.map(async (service) => [service.name, await imageOf(service)] as const)),
    );
    const init = services.some(({ hasInit }) => hasInit) ? await findInit() : undefined;
    refuseUnsupported(this.spec, images, init);
    for (const service of services) {
      const image = resolvedImage(service, images.get(service.name) as Image);
      this.#agent.images.set(service.name, { image, layout: service.image.layout });
    }
    this.#runtime.onExit((exit) => {
      const service = services.find(({ name }) => this.#podOf(name) === exit.podUid);
      void this.#containers.get(service?.name ?? "")?.hasExited(exit);
    });
    await Promise.all(services.map((service) => this.#makePod(service)));
    const ipOf = (name: string): string => this.#ips.get(name) as string;
    await Promise.all(
      services.map((one) =>
        this.#runtime.partPod(this.#podOf(one.name), partedFrom(one, services).map(ipOf)),
      ),
    );
    for (const service of services) {
      const { config } = images.get(service.name) as Image;
      makeBindSources(service.mounts);
      const looks = new Looks({
        runtime: this.#runtime,
        podUid: this.#podOf(service.name),
        container: CONTAINER,
        prefix: POD_PREFIX,
      });
      this.#containers.set(
        service.name,
        new SandboxContainer({
          service,
          runtime: this.#runtime,
          clock: this.#clock,
          podUid: this.#podOf(service.name),
          init: service.hasInit && init !== undefined ? initMount(init) : undefined,
          stopSignal: stopSignalOf(config.config ?? {}, service) as NodeJS.Signals,
          healthcheck: healthcheckOf(config.config ?? {}, service),
          looks,
          publish: () => this.#publish(service),
          changed: () => this.#tellNames().catch((error) => this.#afterRemoval(error)),
        }),
      );
    }
    await this.#tellNames();
  }

  async #makePod(service: ServiceSpec): Promise<void> {
    const { podIP } = await this.#runtime.startPod({
      uid: this.#podOf(service.name),
      namespace: this.#podOf(service.name),
      name: service.name,
      hostname: service.hostname ?? service.name,
      names: "project",
      hostAliases: service.extraHosts.map(({ ip, name }) => ({ ip, hostnames: [name] })),
    });
    this.#ips.set(service.name, podIP);
  }

  /** All names stand before anything starts: a server that looks its upstreams up once must find them. */
  async #tellNames(): Promise<void> {
    if (this.#removed !== undefined) return;
    const { services } = this.spec;
    const routes = services.flatMap((viewer) =>
      [...namesSeenBy(viewer, services)].map(([name, owners]) => ({
        namespace: this.#podOf(viewer.name),
        name,
        clusterIP: "None",
        ports: owners
          .filter((owner) => this.#containers.get(owner)?.isNamed === true)
          .map((owner) => ({
            name: undefined,
            port: 1,
            protocol: "TCP" as const,
            endpoints: [{ ip: this.#ips.get(owner) as string, port: 1 }],
          })),
      })),
    );
    await this.#runtime.setServices(routes);
  }

  /** A container's end may come together with the project's. */
  #afterRemoval(error: unknown): void {
    if (this.#removed === undefined) throw error;
  }

  /** Also the namespace: each has one of its own, so that it can be told other names than the next. */
  #podOf(service: string): string {
    return `service-${this.spec.services.findIndex(({ name }) => name === service)}`;
  }

  #publish(service: ServiceSpec) {
    const ip = this.#ips.get(service.name) as string;
    const where = `services/${service.name}/ports`;
    return Promise.all(
      service.published.map((port) =>
        port.protocol === "udp"
          ? publishDatagrams(port, ip, where, () => this.#runtime.datagrams())
          : publish(port, where, (inside) => this.#runtime.dial(ip, inside)),
      ),
    );
  }

  /** Of the process that everything of the project ends with. */
  get agentPid(): number {
    return this.#runtime.agentPid;
  }

  container(service: string): SandboxContainer {
    return this.#containers.get(serviceNamed(this.spec, service).name) as SandboxContainer;
  }

  remove(): Promise<void> {
    this.#removed ??= this.#remove();
    return this.#removed;
  }

  async #remove(): Promise<void> {
    await Promise.all([...this.#containers.values()].map((container) => container.remove()));
    await this.#agent.remove();
  }
}

function serviceNamed(spec: ProjectSpec, name: string): ServiceSpec {
  const found = spec.services.find((service) => service.name === name);
  if (found === undefined) throw new Error(`${name} is not part of the project ${spec.name}`);
  return found;
}

/** What the runtime runs under the service's name: the image with what the service says otherwise. */
function resolvedImage(service: ServiceSpec, { manifest, config }: Image): ResolvedImage {
  return {
    id: `${service.image.name}@${service.image.digest}`,
    reference: service.name,
    layers: manifest.layers.map(({ digest, mediaType, size }, position) => ({
      digest,
      mediaType,
      size,
      diffId: config.rootfs.diff_ids[position] ?? digest,
    })),
    config: service.hasInit
      ? behindInit(configOf(config.config ?? {}, service))
      : configOf(config.config ?? {}, service),
  };
}

async function imageOf(service: ServiceSpec): Promise<Image> {
  const { name, digest, layout } = service.image;
  const image = await readImage(await ImageLayout.open(layout), name, digest);
  if (image !== undefined) return image;
  throw new SlipwayError({
    code: "ENGINE_IMAGE_MISSING",
    where: `services/${service.name}/image`,
    message: `${name}@${digest} is not in ${layout}`,
    hint: "Build it, or pull it.",
    exitCode: 3,
  });
}

/** All at once, each with its place. */
function refuseUnsupported(
  spec: ProjectSpec,
  images: ReadonlyMap<string, Image>,
  init: string | undefined,
): void {
  const problems: string[] = [];
  for (const service of spec.services) {
    const { name } = service;
    const config = images.get(name)?.config.config ?? {};
    if (service.hasInit && init === undefined)
      problems.push(
        `services/${name}/init: no program for it is installed here (Debian's docker.io, tini-static and catatonit have one)`,
      );
    if (stopSignalOf(config, service) === undefined)
      problems.push(`services/${name}/stop_signal: ${service.stopSignal ?? config.StopSignal}`);
  }
  if (problems.length === 0) return;
  throw new SlipwayError({
    code: "ENGINE_UNSUPPORTED",
    where: `project ${spec.name}`,
    message: `the sandbox does not have what is asked for:\n  ${problems.join("\n  ")}`,
    hint: "Leave it out, or run the project with a Docker or Podman engine.",
    exitCode: 2,
  });
}
