/**
 * Names of a cluster, as Kubernetes' DNS specification 1.1 gives them: a pure function from the services to the
 * answer for one question.
 *
 *   service.namespace.svc.cluster.local                 A: the ClusterIP, or every ready pod of a headless service
 *   hostname.service.namespace.svc.cluster.local        A: one pod of a headless service
 *   _port._protocol.service.namespace.svc.cluster.local SRV
 *   10-244-0-7.namespace.pod.cluster.local              A: the address in the name
 */
import type { ServiceRoute } from "../runtimes/runtime.ts";
import { type Answer, CODE, type Question, TYPE } from "./dns-message.ts";

const CLUSTER_DOMAIN = "cluster.local";

export interface Resolution {
  readonly code: number;
  readonly answers: readonly Answer[];
  /** Set when the name can only be found outside the cluster, to which pods have no way. */
  readonly outside: boolean;
}

export class Zone {
  readonly #services = new Map<string, ServiceRoute>();

  constructor(services: readonly ServiceRoute[]) {
    for (const service of services) this.#services.set(`${service.name}.${service.namespace}`, service);
  }

  resolve(question: Pick<Question, "name" | "type">): Resolution {
    const { name } = question;
    if (name === "localhost") return this.#addresses(["127.0.0.1"], question);
    if (name === CLUSTER_DOMAIN) return MISSING;
    if (!name.endsWith(`.${CLUSTER_DOMAIN}`)) return { ...MISSING, outside: !name.endsWith(".arpa") };
    const parts = name.slice(0, -CLUSTER_DOMAIN.length - 1).split(".");
    const kind = parts.pop();
    if (kind === "pod") return this.#pod(parts, question);
    if (kind !== "svc") return MISSING;
    const namespace = parts.pop();
    const service = this.#services.get(`${parts.pop()}.${namespace}`);
    if (service === undefined) return MISSING;
    if (parts.length === 0) return this.#addresses(addressesOf(service), question);
    if (parts.length === 2 && parts[0]?.startsWith("_"))
      return this.#serviceRecord(service, parts, question, name);
    const pod = service.hostnames?.find(({ hostname }) => hostname === parts[0]);
    if (parts.length !== 1 || pod === undefined) return MISSING;
    return this.#addresses([pod.ip], question);
  }

  /** The whole name is a service's of this namespace, as in Docker's networks; it may have dots. */
  resolveWithin(namespace: string, question: Pick<Question, "name" | "type">): Resolution {
    if (question.name === "localhost") return this.#addresses(["127.0.0.1"], question);
    const service = this.#services.get(`${question.name}.${namespace}`);
    return service === undefined ? MISSING : this.#addresses(addressesOf(service), question);
  }

  /** A name that exists has no AAAA, which is "no data" and not "no such name": musl and Go give up on the latter. */
  #addresses(ips: readonly string[], question: Pick<Question, "type">): Resolution {
    if (ips.length === 0) return MISSING;
    const wanted = question.type === TYPE.A || question.type === TYPE.ANY;
    return {
      code: CODE.ok,
      answers: wanted ? ips.map((ip) => ({ type: "A", ip })) : [],
      outside: false,
    };
  }

  #pod(parts: readonly string[], question: Pick<Question, "type">): Resolution {
    const ip = parts[0]?.replaceAll("-", ".") ?? "";
    return /^\d+\.\d+\.\d+\.\d+$/.test(ip) && parts.length === 2 ? this.#addresses([ip], question) : MISSING;
  }

  #serviceRecord(
    service: ServiceRoute,
    parts: readonly string[],
    question: Pick<Question, "type">,
    name: string,
  ): Resolution {
    const port = service.ports.find(
      (candidate) => parts[0] === `_${candidate.name}` && parts[1] === `_${candidate.protocol.toLowerCase()}`,
    );
    if (port === undefined) return MISSING;
    const target = name.split(".").slice(2).join(".");
    const wanted = question.type === TYPE.SRV || question.type === TYPE.ANY;
    return {
      code: CODE.ok,
      answers: wanted ? [{ type: "SRV", port: port.port, target }] : [],
      outside: false,
    };
  }
}

const MISSING: Resolution = { code: CODE.nameError, answers: [], outside: false };

function addressesOf(service: ServiceRoute): readonly string[] {
  if (service.clusterIP !== "None") return service.clusterIP === "" ? [] : [service.clusterIP];
  return [...new Set(service.ports.flatMap((port) => port.endpoints.map((endpoint) => endpoint.ip)))];
}
