/**
 * ClusterIPs: what kube-proxy does with kernel rules, done by TCP proxies inside the node agent's namespace, where
 * the whole Service range is local. One listener per Service port; ready endpoints take turns; an endpoint that
 * refuses is passed over for the next. A port without endpoints has no listener, so a client is refused at once,
 * as kube-proxy's REJECT does.
 *
 * What differs from Kubernetes: pods see the node's address as the peer, and sessionAffinity is not honoured.
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import type { ServiceRoute } from "../runtimes/runtime.ts";

/** A pod that vanished answers nothing at all; its neighbours must not wait for the kernel's own patience. */
const CONNECT_TIMEOUT_MS = 1000;

export interface ServiceProxyPorts {
  /** Opens a connection to something outside the cluster, through the world. */
  egress(host: string, port: number): Promise<Socket>;
  /** Something that cannot be served, about the pods with these addresses. */
  warn(ips: readonly string[], reason: string, message: string): void;
}

interface Listener {
  readonly server: Server;
  readonly clients: Set<Socket>;
  target: Target;
  turn: number;
}

type Target =
  | { readonly kind: "pods"; readonly endpoints: readonly { readonly ip: string; readonly port: number }[] }
  | { readonly kind: "egress"; readonly host: string; readonly port: number };

export class ServiceProxy {
  readonly #listeners = new Map<string, Listener>();
  readonly #ports: ServiceProxyPorts;
  readonly #warned = new Set<string>();

  constructor(ports: ServiceProxyPorts) {
    this.#ports = ports;
  }

  /** Opens and closes listeners until they are what `services` says; connections that exist are left alone. */
  async setServices(services: readonly ServiceRoute[]): Promise<void> {
    const wanted = new Map<string, { ip: string; port: number; target: Target }>();
    for (const service of services) {
      for (const port of service.ports) {
        if (port.protocol === "UDP") this.#warnUdp(service, port);
        const target = targetOf(service, port);
        if (service.clusterIP === "None" || service.clusterIP === "" || target === undefined) continue;
        wanted.set(`${service.clusterIP}:${port.port}`, { ip: service.clusterIP, port: port.port, target });
      }
    }
    for (const [key, listener] of this.#listeners) {
      if (wanted.has(key)) continue;
      this.#listeners.delete(key);
      listener.server.close();
    }
    await Promise.all(
      [...wanted].map(async ([key, { ip, port, target }]) => {
        const existing = this.#listeners.get(key);
        if (existing !== undefined) existing.target = target;
        else await this.#open(key, ip, port, target);
      }),
    );
  }

  close(): void {
    for (const { server, clients } of this.#listeners.values()) {
      server.close();
      for (const client of clients) client.destroy();
    }
    this.#listeners.clear();
  }

  #open(key: string, ip: string, port: number, target: Target): Promise<void> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
    const listener: Listener = { server, clients: new Set(), target, turn: 0 };
    server.on("connection", (client) => void this.#serve(listener, client));
    this.#listeners.set(key, listener);
    return new Promise((resolve, reject) => {
      server.once("error", (error) => {
        this.#listeners.delete(key);
        reject(error);
      });
      server.listen({ host: ip, port, backlog: 511 }, resolve);
    });
  }

  async #serve(listener: Listener, client: Socket): Promise<void> {
    listener.clients.add(client);
    client.on("close", () => listener.clients.delete(client));
    client.on("error", () => client.destroy());
    const upstream = await this.#connect(listener);
    if (upstream === undefined) return void client.resetAndDestroy();
    if (client.destroyed) return void upstream.destroy();
    join(client, upstream);
  }

  /** Tries each endpoint once, beginning with the one whose turn it is. */
  async #connect(listener: Listener): Promise<Socket | undefined> {
    const { target } = listener;
    if (target.kind === "egress")
      return await this.#ports.egress(target.host, target.port).catch(() => undefined);
    const first = listener.turn;
    listener.turn = (listener.turn + 1) % target.endpoints.length;
    for (let tried = 0; tried < target.endpoints.length; tried += 1) {
      const endpoint = target.endpoints[(first + tried) % target.endpoints.length];
      const upstream = endpoint === undefined ? undefined : await dialTcp(endpoint.ip, endpoint.port);
      if (upstream !== undefined) return upstream;
    }
    return undefined;
  }

  #warnUdp(service: ServiceRoute, port: ServiceRoute["ports"][number]): void {
    const key = `${service.namespace}/${service.name}:${port.port}`;
    const ips = port.endpoints.map(({ ip }) => ip);
    if (ips.length === 0 || this.#warned.has(key)) return;
    this.#warned.add(key);
    this.#ports.warn(
      ips,
      "ServiceProtocolUnsupported",
      `Service ${service.name} port ${port.port} is UDP, which the sandbox network does not forward. Use the pods' own addresses (a headless Service).`,
    );
  }
}

function targetOf(service: ServiceRoute, port: ServiceRoute["ports"][number]): Target | undefined {
  if (port.protocol === "UDP") return undefined;
  if (service.egress !== undefined)
    return { kind: "egress", host: service.egress.host, port: service.egress.port };
  return port.endpoints.length === 0 ? undefined : { kind: "pods", endpoints: port.endpoints };
}

function dialTcp(host: string, port: number): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
    socket.pause();
    const fail = (): void => {
      socket.destroy();
      resolve(undefined);
    };
    socket.setTimeout(CONNECT_TIMEOUT_MS, fail);
    socket.once("error", fail);
    socket.once("connect", () => {
      socket.setTimeout(0);
      socket.off("timeout", fail);
      socket.off("error", fail);
      resolve(socket);
    });
  });
}

/** Each end's bytes, end and reset go to the other, so that a client learns what its server did. */
function join(client: Socket, upstream: Socket): void {
  const link = (from: Socket, to: Socket): void => {
    from.on("error", () => to.resetAndDestroy());
    from.on("close", (hadError) => {
      if (!hadError && !to.writableEnded) to.end();
    });
    from.pipe(to);
  };
  link(client, upstream);
  link(upstream, client);
  client.resume();
  upstream.resume();
}
