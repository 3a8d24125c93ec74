/**
 * From a resolved document to a project: what is active, and whether everything that is referred to is there. The
 * document may come from our loader, or from `docker compose config --format json`.
 */
import { nearest } from "@slipway/base";
import type { BuiltImage } from "../../images/image.ts";
import type { ExposedPort, ProjectSpec, PublishedPort } from "../engines/engine.ts";
import { boolean, field, knownKeys, optionalMap, text } from "./fields.ts";
import { PROJECT_KEYS, PROJECT_REFUSED } from "./keys.ts";
import type { ComposeProject, ComposeService } from "./model.ts";
import { profilesOf, readService } from "./service.ts";
import { composeError, invalid, type MapTree, type Tree, unsupported } from "./tree.ts";

export interface ProjectChoice {
  /** Of `--profile` and COMPOSE_PROFILES; `*` is all. */
  readonly profiles: readonly string[];
  /** When the document does not say `name`. */
  readonly name: string;
}

export function readProject(tree: Tree, choice: ProjectChoice): ComposeProject {
  const document = knownKeys(tree, "the file", PROJECT_KEYS, PROJECT_REFUSED);
  const [name, version] = [field(document, "name"), field(document, "version")];
  // Nothing is made of it, but Compose refuses `version: 3`, too.
  if (version !== undefined) text(version, "version");
  const services = field(document, "services");
  const found = services === undefined ? [] : [...optionalMap(services, "services").entries];
  for (const [written] of found) checkName(written, services as MapTree);
  if (found.length === 0)
    throw invalid(tree, "has no services", "A Compose file needs services: with one at least.");
  const isActive = (profiles: readonly string[]): boolean =>
    profiles.length === 0 ||
    profiles.some((one) => choice.profiles.includes(one) || choice.profiles.includes("*"));
  const active: ComposeService[] = [];
  const inactive = new Map<string, readonly string[]>();
  for (const [service, settings] of found) {
    const profiles = profilesOf(service, settings);
    if (isActive(profiles)) active.push(readService(service, settings));
    else inactive.set(service, profiles);
  }
  checkNetworks(document, active);
  checkVolumes(document, active);
  checkDependencies(active, inactive);
  checkHostPorts(active);
  return {
    name: name === undefined ? choice.name : projectName(text(name, "name"), name),
    services: active,
    inactive,
  };
}

/** What an engine runs. `exposedBy` says what an image's EXPOSE has. */
export function projectSpec(
  project: ComposeProject,
  imageOf: (service: ComposeService) => BuiltImage,
  exposedBy: (service: ComposeService) => readonly ExposedPort[],
): ProjectSpec {
  const names = project.services.map(({ name }) => name);
  return {
    name: project.name,
    services: project.services.map((service) => {
      const { build: _, labels: __, place: ___, keys: ____, ...spec } = service;
      const ports = new Map(
        [...exposedBy(service), ...spec.exposed].map((one) => [`${one.port}/${one.protocol}`, one]),
      );
      return {
        ...spec,
        image: imageOf(service),
        exposed: [...ports.values()],
        dependsOn: spec.dependsOn.filter((one) => names.includes(one.service)),
      };
    }),
  };
}

/** The folder's name, as Compose makes a project's name of it. */
export function defaultName(directory: string): string {
  const name = (directory.split("/").at(-1) ?? "").toLowerCase().replaceAll(/[^a-z0-9_-]/g, "");
  return name.replace(/^[_-]+/, "") || "default";
}

function projectName(written: string, tree: Tree): string {
  if (/^[a-z0-9][a-z0-9_-]*$/.test(written)) return written;
  throw invalid(tree, `name: "${written}" should be lower-case letters, digits, - and _`);
}

function checkName(name: string, services: MapTree): void {
  if (/^[A-Za-z0-9._-]+$/.test(name)) return;
  const place = services.keys.get(name) ?? services.place;
  throw invalid(
    { place },
    `services: "${name}" is no name of a service`,
    "Use letters, digits, dots, - and _ only.",
  );
}

/** Only one of them could open it; which, would be chance. */
function checkHostPorts(services: readonly ComposeService[]): void {
  const taken: { readonly service: string; readonly port: PublishedPort }[] = [];
  for (const { name, published, keys, place } of services) {
    for (const port of published) {
      const other = taken.find((one) => isSameHostPort(one.port, port));
      const isRepeated = other?.service === name && other.port.port === port.port;
      if (other !== undefined && !isRepeated)
        throw invalid(
          { place: keys.get("ports") ?? place },
          `services/${name}/ports: port ${port.hostPort} of this machine is published twice, by ${other.service} for ${other.port.port} and by ${name} for ${port.port}`,
          "Give one of them another port, or leave the first number out: any free one is taken then.",
        );
      taken.push({ service: name, port });
    }
  }
}

const EVERY: readonly string[] = ["0.0.0.0", "::"];

const isSameHostPort = (one: PublishedPort, other: PublishedPort): boolean =>
  one.hostPort !== 0 &&
  one.hostPort === other.hostPort &&
  one.protocol === other.protocol &&
  (one.hostIp === other.hostIp || EVERY.includes(one.hostIp) || EVERY.includes(other.hostIp));

function checkNetworks(document: MapTree, services: readonly ComposeService[]): void {
  const declared = field(document, "networks");
  const known = ["default"];
  for (const [name, settings] of declared === undefined ? [] : optionalMap(declared, "networks").entries) {
    const what = `networks/${name}`;
    const map = knownKeys(
      optionalMap(settings, what),
      what,
      ["name", "driver", "internal", "labels", "ipam", "external"],
      ["attachable", "driver_opts", "enable_ipv4", "enable_ipv6"],
    );
    const [driver, external, ipam] = [field(map, "driver"), field(map, "external"), field(map, "ipam")];
    if (driver !== undefined && text(driver, what) !== "bridge")
      throw unsupported(driver, `${what}: the driver ${text(driver, what)} is not supported`);
    refuseExternal(external, what);
    if (ipam !== undefined && optionalMap(ipam, what).entries.size > 0)
      throw unsupported(ipam, `${what}/ipam: own addresses are not supported`);
    known.push(name);
  }
  for (const service of services)
    for (const { name } of service.networks) refuseUnknown(service, "networks", name, known);
}

function checkVolumes(document: MapTree, services: readonly ComposeService[]): void {
  const declared = field(document, "volumes");
  const known: string[] = [];
  for (const [name, settings] of declared === undefined ? [] : optionalMap(declared, "volumes").entries) {
    const what = `volumes/${name}`;
    const map = knownKeys(
      optionalMap(settings, what),
      what,
      ["name", "driver", "labels", "external"],
      ["driver_opts"],
    );
    const driver = field(map, "driver");
    if (driver !== undefined && text(driver, what) !== "local")
      throw unsupported(driver, `${what}: the driver ${text(driver, what)} is not supported`);
    refuseExternal(field(map, "external"), what);
    known.push(name);
  }
  for (const service of services) {
    for (const mount of service.mounts) {
      const isAnonymous = mount.kind === "volume" && mount.volume.startsWith(`${service.name}_`);
      if (mount.kind === "volume" && !isAnonymous) refuseUnknown(service, "volumes", mount.volume, known);
    }
  }
}

function refuseExternal(tree: Tree | undefined, what: string): void {
  const isExternal = tree !== undefined && (tree.kind === "map" || boolean(tree, what));
  if (tree !== undefined && isExternal) throw unsupported(tree, `${what}: external ones are not supported`);
}

function refuseUnknown(service: ComposeService, key: string, name: string, known: readonly string[]): void {
  if (known.includes(name)) return;
  const near = nearest(name, known);
  throw invalid(
    service,
    `services/${service.name}/${key}: "${name}" is not declared under ${key}`,
    near === undefined ? `Declare it at the top level: ${key}: { ${name}: }` : `Did you mean "${near}"?`,
  );
}

function checkDependencies(
  services: readonly ComposeService[],
  inactive: ReadonlyMap<string, readonly string[]>,
): void {
  const names = services.map(({ name }) => name);
  for (const service of services) {
    for (const { service: other, isRequired } of service.dependsOn) {
      if (names.includes(other)) continue;
      const profiles = inactive.get(other);
      if (!isRequired && profiles !== undefined) continue;
      const what = `services/${service.name}/depends_on`;
      if (profiles !== undefined)
        throw invalid(
          service,
          `${what}: ${other} belongs to the profile ${profiles.join(", ")}, which is not chosen`,
          `Choose it with --profile ${profiles[0]}, or say required: false.`,
        );
      if (!isRequired) continue;
      const near = nearest(other, [...names, ...inactive.keys()]);
      throw invalid(
        service,
        `${what}: there is no service "${other}"`,
        near === undefined ? `Services: ${names.join(", ")}.` : `Did you mean "${near}"?`,
      );
    }
  }
  for (const service of services) refuseCircle(service, services, []);
}

function refuseCircle(
  service: ComposeService,
  services: readonly ComposeService[],
  path: readonly ComposeService[],
): void {
  const start = path.indexOf(service);
  if (start >= 0) {
    const circle = [...path.slice(start), service].map(({ name }) => name).join(" → ");
    throw composeError(
      "COMPOSE_INVALID",
      service.place,
      `services depend on each other in a circle: ${circle}`,
      "Take one depends_on out.",
    );
  }
  for (const { service: other } of service.dependsOn) {
    const next = services.find(({ name }) => name === other);
    if (next !== undefined) refuseCircle(next, services, [...path, service]);
  }
}
