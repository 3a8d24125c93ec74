/**
 * The cluster's name server (where Kubernetes has CoreDNS), on UDP and TCP, inside the node agent's namespace.
 * It knows the cluster's own names only; everything else is refused with "no such name" at once, so that no
 * program waits for a timeout, and reported, so that somebody learns about `local.egress`.
 */
import { createSocket, type Socket as Datagram } from "node:dgram";
import { createServer, type Server, type Socket } from "node:net";
import type { ServiceRoute } from "../runtimes/runtime.ts";
import { CODE, parseQuery, renderResponse } from "./dns-message.ts";
import { Zone } from "./zone.ts";

/** CoreDNS gives 5 s for Kubernetes' names; a local cluster changes faster and a query costs nothing here. */
const TTL_SECONDS = 1;
const UDP_MAX = 512;

export class NameServer {
  #zone = new Zone([]);
  readonly #udp: Datagram = createSocket("udp4");
  readonly #tcp: Server;
  readonly #outside: (clientIP: string, name: string) => void;
  readonly #namespaceOf: ((clientIP: string) => string) | undefined;

  /**
   * `outside` is told who asked for a name that no pod can reach. With `namespaceOf` names are taken as they are, and
   * mean the services of the namespace of who asks.
   */
  constructor(outside: (clientIP: string, name: string) => void, namespaceOf?: (clientIP: string) => string) {
    this.#outside = outside;
    this.#namespaceOf = namespaceOf;
    this.#udp.on("message", (query, from) => {
      const response = this.#respond(query, from.address, UDP_MAX);
      if (response !== undefined) this.#udp.send(response, from.port, from.address, () => {});
    });
    this.#tcp = createServer((socket) => this.#serveStream(socket));
  }

  setServices(services: readonly ServiceRoute[]): void {
    this.#zone = new Zone(services);
  }

  async listen(ip: string, port = 53): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#udp.once("error", reject);
      this.#udp.bind(port, ip, () => {
        this.#udp.off("error", reject);
        this.#udp.on("error", () => {}); // an ICMP answer to one client must not end the service for all
        resolve();
      });
    });
    const bound = this.#udp.address().port;
    await new Promise<void>((resolve, reject) => {
      this.#tcp.once("error", reject);
      this.#tcp.listen(bound, ip, resolve);
    });
  }

  /** Where it listens; for tests that let the system choose the port. */
  get port(): number {
    return this.#udp.address().port;
  }

  close(): void {
    this.#udp.close();
    this.#tcp.close();
  }

  #respond(query: Buffer, clientIP: string, maxBytes: number): Buffer | undefined {
    const question = parseQuery(query);
    if (question === undefined) {
      if (query.length < 12) return undefined;
      const header = Buffer.alloc(12);
      header.writeUInt16BE(query.readUInt16BE(0), 0);
      header.writeUInt16BE(0x8000 | CODE.formatError, 2);
      return header;
    }
    const { code, answers, outside } =
      this.#namespaceOf === undefined
        ? this.#zone.resolve(question)
        : this.#zone.resolveWithin(this.#namespaceOf(clientIP), question);
    if (outside) this.#outside(clientIP, question.name);
    return renderResponse(question, code, shuffle(answers, question.id), TTL_SECONDS, maxBytes);
  }

  /** Each message has its length in front (RFC 1035, 4.2.2); a client may send several. */
  #serveStream(socket: Socket): void {
    let pending = Buffer.alloc(0);
    socket.on("error", () => socket.destroy());
    socket.setTimeout(5000, () => socket.destroy());
    socket.on("data", (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
        const length = pending.readUInt16BE(0);
        const response = this.#respond(pending.subarray(2, 2 + length), socket.remoteAddress ?? "", 65_535);
        pending = pending.subarray(2 + length);
        if (response === undefined) continue;
        const framed = Buffer.alloc(2 + response.length);
        framed.writeUInt16BE(response.length);
        response.copy(framed, 2);
        socket.write(framed);
      }
    });
  }
}

/** Clients take the first address; turning the list by the query's id spreads them over a headless service. */
function shuffle<T>(items: readonly T[], by: number): readonly T[] {
  if (items.length < 2) return items;
  const start = by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}
