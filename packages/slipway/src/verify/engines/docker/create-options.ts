/** A service as the Docker Engine API creates it (API 1.41; Podman 4.3 understands the same). Pure. */
import type { ContainerCreateOptions, EndpointSettings } from "dockerode";
import type { ServiceMount, ServiceSpec } from "../engine.ts";
import type { Ulimit } from "./ulimits.ts";

export const PROJECT_LABEL = "io.slipway.verify.project";
export const OWNER_LABEL = "io.slipway.verify.owner";
const SERVICE_LABEL = "io.slipway.verify.service";
/** Docker's own default since 20.10, and the sandbox's; Podman's is 1024. The same image starts everywhere or nowhere. */
const SYSCTLS = { "net.ipv4.ip_unprivileged_port_start": "0" };

export interface CreateNames {
  readonly project: string;
  /** The owner's `ProcessIdentity` as JSON, for the sweep of a later run. */
  readonly owner: string;
  /** What the engine calls the image. */
  readonly image: string;
  /** By network of the project: what the engine calls it. */
  readonly network: (name: string) => string;
  /** The network is the engine's own, in which there are no aliases. */
  readonly isAlone?: boolean;
  readonly volume: (name: string) => string;
  /** Volumes of the project that hide what the image has at their place, as a folder of this machine would. */
  readonly hiding?: ReadonlySet<string>;
  /** Empty: the engine's own. */
  readonly ulimits: readonly Ulimit[];
}

/**
 * A name that only the engine's name server knows, so that it tells whether that has heard of the container: Podman's
 * learns it after the start. The container's own name would not, its /etc/hosts has it.
 */
export const registeredName = (service: string): string => `${service}--registered`;

export const containerName = (project: string, service: string): string => `${project}-${service}`;

export function labelsOf(names: Pick<CreateNames, "project" | "owner">): Record<string, string> {
  return { [PROJECT_LABEL]: names.project, [OWNER_LABEL]: names.owner };
}

/** The container in its first network; `laterNetworks` are joined before it starts. */
export function createOptions(service: ServiceSpec, names: CreateNames): ContainerCreateOptions {
  const [first] = service.networks;
  if (first === undefined) throw new TypeError(`service ${service.name} is in no network`);
  const network = names.network(first.name);
  return {
    name: containerName(names.project, service.name),
    Image: names.image,
    Hostname: service.hostname ?? service.name,
    // An entrypoint takes the image's command away too: an empty list, because undefined would keep it.
    ...(service.entrypoint === undefined
      ? {}
      : { Entrypoint: [...service.entrypoint], Cmd: [...(service.command ?? [])] }),
    ...(service.entrypoint !== undefined || service.command === undefined
      ? {}
      : { Cmd: [...service.command] }),
    Env: Object.entries(service.environment).map(([name, value]) => `${name}=${value}`),
    ...(service.user === undefined ? {} : { User: service.user }),
    ...(service.workingDir === undefined ? {} : { WorkingDir: service.workingDir }),
    ...(service.stopSignal === undefined ? {} : { StopSignal: service.stopSignal }),
    Labels: { ...labelsOf(names), [SERVICE_LABEL]: service.name },
    ExposedPorts: Object.fromEntries(
      [...service.exposed, ...service.published].map(({ port, protocol }) => [`${port}/${protocol}`, {}]),
    ),
    // Run from here instead: `../health-watch.ts` says why.
    Healthcheck: { Test: ["NONE"] },
    HostConfig: {
      NetworkMode: network,
      ReadonlyRootfs: service.isReadOnly,
      Sysctls: SYSCTLS,
      ...(service.hasInit ? { Init: true } : {}),
      ExtraHosts: service.extraHosts.map(({ name, ip }) => `${name}:${ip}`),
      Binds: service.mounts.flatMap((mount) => bindOf(mount, names)),
      Tmpfs: Object.fromEntries(
        service.mounts.filter((mount) => mount.kind === "tmpfs").map(({ path }) => [path, ""]),
      ),
      PortBindings: Object.fromEntries(
        service.published.map(({ port, protocol, hostIp, hostPort }) => [
          `${port}/${protocol}`,
          [{ HostIp: hostIp, HostPort: hostPort === 0 ? "" : String(hostPort) }],
        ]),
      ),
      ...(names.ulimits.length === 0 ? {} : { Ulimits: [...names.ulimits] }),
      RestartPolicy: { Name: service.restart === "no" ? "" : service.restart },
    },
    ...(names.isAlone === true
      ? {}
      : { NetworkingConfig: { EndpointsConfig: { [network]: endpointOf(service, first) } } }),
  };
}

export function laterNetworks(
  service: ServiceSpec,
  names: Pick<CreateNames, "network">,
): readonly { readonly network: string; readonly endpoint: EndpointSettings }[] {
  return service.networks
    .slice(1)
    .map((network) => ({ network: names.network(network.name), endpoint: endpointOf(service, network) }));
}

const endpointOf = (service: ServiceSpec, network: ServiceSpec["networks"][number]): EndpointSettings =>
  ({
    Aliases: [service.name, registeredName(service.name), ...network.aliases],
  }) as unknown as EndpointSettings;

function bindOf(mount: ServiceMount, names: CreateNames): readonly string[] {
  if (mount.kind === "tmpfs") return [];
  const source = mount.kind === "bind" ? mount.source : names.volume(mount.volume);
  const isHiding = mount.kind === "volume" && names.hiding?.has(mount.volume) === true;
  const options = [...(mount.isReadOnly ? ["ro"] : []), ...(isHiding ? ["nocopy"] : [])];
  return [`${source}:${mount.path}${options.length === 0 ? "" : `:${options.join()}`}`];
}
