/** One service of a resolved document, as data. */
import { isIP } from "node:net";
import { resolve } from "node:path";
import type { ExposedPort, HealthcheckSpec, ServiceSpec } from "../engines/engine.ts";
import {
  boolean,
  count,
  duration,
  field,
  knownKeys,
  list,
  optionalMap,
  text,
  textMap,
  texts,
  words,
} from "./fields.ts";
import { BUILD_KEYS, BUILD_REFUSED, SERVICE_KEYS, SERVICE_REFUSED } from "./keys.ts";
import { normalized } from "./merge.ts";
import type { ComposeBuild, ComposeService } from "./model.ts";
import { pathOf, tmpfsMounts, volumeMount } from "./mounts.ts";
import { exposedPorts, publishedPorts } from "./ports.ts";
import { invalid, type MapTree, type Tree, unsupported } from "./tree.ts";

/** Docker's, when a healthcheck does not say. */
const HEALTH = { intervalMs: 30_000, timeoutMs: 30_000, startPeriodMs: 0, retries: 3 };
const GRACE_MS = 10_000;
const CONDITIONS: Readonly<Record<string, ServiceSpec["dependsOn"][number]["condition"]>> = {
  service_started: "started",
  service_healthy: "healthy",
  service_completed_successfully: "completed",
};

export function readService(name: string, tree: Tree): ComposeService {
  const what = `services/${name}`;
  const map = normalized(knownKeys(tree, what, SERVICE_KEYS, SERVICE_REFUSED));
  const at = (key: string): string => `${what}/${key}`;
  const read = <T>(key: string, reader: (tree: Tree, what: string) => T): T | undefined => {
    const value = field(map, key);
    return value === undefined ? undefined : reader(value, at(key));
  };
  const each = <T>(key: string, reader: (tree: Tree, what: string) => T): readonly T[] =>
    (read(key, list) ?? []).map((item) => reader(item, at(key)));
  const build = read("build", readBuild);
  const image = read("image", text);
  if (build === undefined && image === undefined)
    throw invalid(tree, `${what}: has neither image nor build`, "Say what it runs.");
  const published = each("ports", publishedPorts).flat();
  const container = read("container_name", text);
  return {
    name,
    build,
    image,
    place: tree.place,
    keys: tree.kind === "map" ? tree.keys : new Map(),
    command: read("command", words),
    entrypoint: read("entrypoint", words),
    environment: read("environment", textMap) ?? {},
    user: read("user", text),
    workingDir: read("working_dir", text),
    hostname: read("hostname", text),
    networks: readNetworks(field(map, "networks"), at("networks"), container),
    extraHosts: read("extra_hosts", readExtraHosts) ?? [],
    mounts: [
      ...each("volumes", (item, place) => volumeMount(item, place, name)),
      ...(read("tmpfs", tmpfsMounts) ?? []),
    ],
    exposed: uniquePorts([...each("expose", exposedPorts).flat(), ...published]),
    published,
    healthcheck: read("healthcheck", readHealthcheck),
    dependsOn: read("depends_on", readDependencies) ?? [],
    stopSignal: read("stop_signal", text),
    stopGraceMs: read("stop_grace_period", duration) ?? GRACE_MS,
    isReadOnly: read("read_only", boolean) ?? false,
    restart: read("restart", readRestart) ?? "no",
    hasInit: read("init", boolean) ?? false,
    labels: read("labels", (labels, place) => textMap(labels, place, "")) ?? {},
  };
}

/** Profiles are needed before anything else of a service is read: what is not active may be incomplete. */
export function profilesOf(name: string, tree: Tree): readonly string[] {
  const profiles = tree.kind === "map" ? field(tree, "profiles") : undefined;
  return profiles === undefined ? [] : texts(profiles, `services/${name}/profiles`);
}

function readBuild(tree: Tree, what: string): ComposeBuild {
  const map = knownKeys(tree, what, BUILD_KEYS, BUILD_REFUSED);
  const contextTree = field(map, "context");
  const written = contextTree === undefined ? "." : text(contextTree, `${what}/context`);
  if (/^(?:[a-z+]+:\/\/|git@)/.test(written))
    throw unsupported(contextTree ?? tree, `${what}/context: a context that is not a folder of this machine`);
  const context = pathOf(written, (contextTree ?? tree).place);
  const dockerfile = field(map, "dockerfile");
  const target = field(map, "target");
  const args = field(map, "args");
  return {
    context,
    dockerfile: resolve(
      context,
      dockerfile === undefined ? "Dockerfile" : text(dockerfile, `${what}/dockerfile`),
    ),
    args: args === undefined ? {} : textMap(args, `${what}/args`),
    target: target === undefined ? undefined : text(target, `${what}/target`),
  };
}

/** A container's name can be called like an alias, on all its networks. */
function readNetworks(
  tree: Tree | undefined,
  what: string,
  container: string | undefined,
): ServiceSpec["networks"] {
  const own = container === undefined ? [] : [container];
  if (tree === undefined) return [{ name: "default", aliases: own }];
  const networks = [...optionalMap(tree, what).entries].map(([name, settings]) => {
    const known = knownKeys(
      optionalMap(settings, `${what}/${name}`),
      `${what}/${name}`,
      ["aliases"],
      [
        "driver_opts",
        "gw_priority",
        "interface_name",
        "ipv4_address",
        "ipv6_address",
        "link_local_ips",
        "mac_address",
        "priority",
      ],
    );
    const aliases = field(known, "aliases");
    return {
      name,
      aliases: [...own, ...(aliases === undefined ? [] : texts(aliases, `${what}/${name}/aliases`))],
    };
  });
  if (networks.length > 0) return networks;
  throw unsupported(tree, `${what}: a service without any network is not supported`);
}

function readExtraHosts(tree: Tree, what: string): ServiceSpec["extraHosts"] {
  const map: MapTree = optionalMap(tree, what);
  return [...map.entries].flatMap(([name, value]) =>
    texts(value, `${what}/${name}`).map((written) => {
      const ip = written.replace(/^\[(.*)\]$/, "$1");
      if (ip === "host-gateway") throw unsupported(value, `${what}/${name}: host-gateway is not supported`);
      if (isIP(ip) === 0) throw invalid(value, `${what}/${name}: "${written}" is no address`);
      return { name, ip };
    }),
  );
}

function readHealthcheck(tree: Tree, what: string): HealthcheckSpec | "none" {
  const known = ["test", "interval", "timeout", "start_period", "start_interval", "retries", "disable"];
  const map = knownKeys(tree, what, known);
  const read = <T>(key: string, reader: (tree: Tree, what: string) => T): T | undefined => {
    const value = field(map, key);
    return value === undefined ? undefined : reader(value, `${what}/${key}`);
  };
  if (read("disable", boolean) === true) return "none";
  const test = field(map, "test");
  if (test === undefined)
    throw unsupported(tree, `${what}: a healthcheck without a test, on top of the image's, is not supported`);
  const vector = healthTest(test, `${what}/test`);
  if (vector === undefined) return "none";
  return {
    test: vector,
    intervalMs: read("interval", duration) ?? HEALTH.intervalMs,
    timeoutMs: read("timeout", duration) ?? HEALTH.timeoutMs,
    startPeriodMs: read("start_period", duration) ?? HEALTH.startPeriodMs,
    retries: read("retries", count) ?? HEALTH.retries,
  };
}

/** Undefined for NONE. */
function healthTest(tree: Tree, what: string): readonly string[] | undefined {
  const [kind, ...rest] = tree.kind === "scalar" ? ["CMD-SHELL", text(tree, what)] : texts(tree, what);
  if (kind === "NONE") return undefined;
  if (kind === "CMD" && rest.length > 0) return rest;
  if (kind === "CMD-SHELL" && rest.length === 1) return ["/bin/sh", "-c", ...rest];
  throw invalid(tree, `${what}: should be a text, or a list that begins with CMD, CMD-SHELL or NONE`);
}

function readDependencies(tree: Tree, what: string): ServiceSpec["dependsOn"] {
  return [...optionalMap(tree, what).entries].map(([service, settings]) => {
    const at = `${what}/${service}`;
    // `restart` is about what Compose does later to a running project.
    const map = knownKeys(optionalMap(settings, at), at, ["condition", "required", "restart"]);
    const [condition, required] = [field(map, "condition"), field(map, "required")];
    const written = condition === undefined ? "service_started" : text(condition, at);
    const known = CONDITIONS[written];
    if (known === undefined)
      throw invalid(
        condition ?? settings,
        `${at}: unknown condition "${written}"`,
        `Known: ${Object.keys(CONDITIONS).join(", ")}.`,
      );
    return { service, condition: known, isRequired: required === undefined || boolean(required, at) };
  });
}

function readRestart(tree: Tree, what: string): ServiceSpec["restart"] {
  const written = text(tree, what);
  if (written === "no" || written === "always" || written === "on-failure" || written === "unless-stopped")
    return written;
  if (/^on-failure:\d+$/.test(written))
    throw unsupported(tree, `${what}: a number of attempts is not supported`);
  throw invalid(
    tree,
    `${what}: "${written}" is no restart policy`,
    "Known: no, always, on-failure, unless-stopped.",
  );
}

function uniquePorts(ports: readonly ExposedPort[]): readonly ExposedPort[] {
  const found = new Map(ports.map(({ port, protocol }) => [`${port}/${protocol}`, { port, protocol }]));
  return [...found.values()];
}
