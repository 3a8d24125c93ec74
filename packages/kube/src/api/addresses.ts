/**
 * ClusterIPs (10.96.0.0/16) and node ports (30000-32767) for Services. What is taken is read from the stored
 * Services each time: there is no second list that could disagree, and a dry run takes nothing.
 */
import type { Random } from "@slipway/base";
import type { Service, ServicePort } from "../resources/service.ts";
import type { Reader } from "../store/store.ts";

type ServiceSpec = Service["spec"];

export interface AddressProblem {
  readonly field: string;
  readonly value: string;
  readonly message: string;
}

const PREFIX = "10.96.";
const NODE_PORT_FIRST = 30_000;
const NODE_PORT_COUNT = 2_768;

/** The Service with its addresses; those of `old` are kept where the new one names none. */
export function allocateAddresses(
  reader: Reader,
  random: Random,
  service: Service,
  old: Service | undefined,
): Service | AddressProblem {
  const others = reader
    .list("Service")
    .filter(({ metadata }) => metadata.uid === undefined || metadata.uid !== (old ?? service).metadata.uid);
  const withIp = allocateClusterIp(service.spec, old?.spec, others, random);
  if ("message" in withIp) return withIp;
  const withPorts = allocateNodePorts(withIp, old?.spec, others, random);
  return "message" in withPorts ? withPorts : { ...service, spec: withPorts };
}

export function isAddressProblem(result: Service | AddressProblem): result is AddressProblem {
  return "message" in result;
}

function allocateClusterIp(
  spec: ServiceSpec,
  old: ServiceSpec | undefined,
  others: readonly Service[],
  random: Random,
): ServiceSpec | AddressProblem {
  if (spec.type === "ExternalName") {
    const {
      clusterIP: _ip,
      clusterIPs: _ips,
      ipFamilies: _families,
      ipFamilyPolicy: _policy,
      ...rest
    } = spec;
    return rest;
  }
  const given = spec.clusterIP || spec.clusterIPs?.[0] || old?.clusterIP || "";
  const taken = new Set(others.map((service) => service.spec.clusterIP));
  if (given !== "" && given !== "None" && given !== old?.clusterIP) {
    const problem = problemOf(given, taken);
    if (problem !== undefined) return problem;
  }
  const clusterIP = given === "" ? freeIp(taken, random) : given;
  return {
    ...spec,
    clusterIP,
    clusterIPs: [clusterIP],
    ipFamilies: spec.ipFamilies ?? ["IPv4"],
    ipFamilyPolicy: spec.ipFamilyPolicy ?? "SingleStack",
  };
}

function problemOf(ip: string, taken: ReadonlySet<string | undefined>): AddressProblem | undefined {
  const fact = `[]string{"${ip}"}: failed to allocate IP ${ip}: `;
  const field = "spec.clusterIPs";
  if (!/^10\.96(\.(25[0-5]|2[0-4]\d|1?\d?\d)){2}$/.test(ip)) {
    const message = `${fact}the provided IP (${ip}) is not in the valid range. The range of valid IPs is 10.96.0.0/16`;
    return { field, value: ip, message };
  }
  return taken.has(ip) ? { field, value: ip, message: `${fact}provided IP is already allocated` } : undefined;
}

/**
 * A random address with the last two bytes from 1.0 to 255.254. As in Kubernetes, the lowest 256 are left to
 * people who choose their own (the API server itself has 10.96.0.1).
 */
function freeIp(taken: ReadonlySet<string | undefined>, random: Random): string {
  const count = 65_536 - 256 - 1;
  const start = random.int(count);
  for (let step = 0; step < count; step += 1) {
    const number = 256 + ((start + step) % count);
    const ip = `${PREFIX}${number >> 8}.${number & 255}`;
    if (!taken.has(ip)) return ip;
  }
  throw new RangeError("every ClusterIP of 10.96.0.0/16 is taken");
}

function allocateNodePorts(
  spec: ServiceSpec,
  old: ServiceSpec | undefined,
  others: readonly Service[],
  random: Random,
): ServiceSpec | AddressProblem {
  if (spec.type !== "NodePort" && spec.type !== "LoadBalancer") return spec;
  const taken = new Set(others.flatMap((service) => service.spec.ports ?? []).map((port) => port.nodePort));
  const ports: ServicePort[] = [];
  for (const [index, port] of (spec.ports ?? []).entries()) {
    const kept = old?.ports?.find((other) => other.port === port.port && other.protocol === port.protocol);
    const nodePort = port.nodePort || kept?.nodePort || freePort(taken, random);
    if (nodePort !== kept?.nodePort && !isNodePort(nodePort)) {
      const message = `${nodePort}: provided port is not in the valid range. The range of valid ports is 30000-32767`;
      return { field: `spec.ports[${index}].nodePort`, value: String(nodePort), message };
    }
    if (taken.has(nodePort)) {
      const field = `spec.ports[${index}].nodePort`;
      return { field, value: String(nodePort), message: `${nodePort}: provided port is already allocated` };
    }
    taken.add(nodePort);
    ports.push({ ...port, nodePort });
  }
  return { ...spec, ports };
}

function isNodePort(port: number): boolean {
  return port >= NODE_PORT_FIRST && port < NODE_PORT_FIRST + NODE_PORT_COUNT;
}

function freePort(taken: ReadonlySet<number | undefined>, random: Random): number {
  const start = random.int(NODE_PORT_COUNT);
  for (let step = 0; step < NODE_PORT_COUNT; step += 1) {
    const port = NODE_PORT_FIRST + ((start + step) % NODE_PORT_COUNT);
    if (!taken.has(port)) return port;
  }
  throw new RangeError("every node port from 30000 to 32767 is taken");
}
