/**
 * Ports of this machine that lead to a container's: each connection is dialled inside the sandbox and passed on, and each
 * sender of datagrams has a socket of its own there, so that answers find their way back.
 */
import { createSocket, type Socket as DatagramSocket } from "node:dgram";
import { createServer, isIP, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { SlipwayError, systemCode } from "@slipway/base";
import type { PublishedPort } from "../engine.ts";

export interface OpenPort {
  /** With the port that the system chose, where any was asked for. */
  readonly port: PublishedPort;
  close(): Promise<void>;
}

/** `dial` connects to the container's port. Rejects with ENGINE_PORT_TAKEN when somebody else listens there. */
export async function publish(
  port: PublishedPort,
  where: string,
  dial: (port: number) => Promise<Duplex>,
): Promise<OpenPort> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (incoming) => {
    open.add(incoming);
    incoming.once("close", () => open.delete(incoming));
    incoming.on("error", () => incoming.destroy());
    dial(port.port).then(
      (inside) => join(incoming, inside),
      () => incoming.destroy(), // as Docker's proxy: accepted, and closed when nobody listens inside
    );
  });
  await listen(server, port, where);
  const { port: hostPort } = server.address() as { readonly port: number };
  return {
    port: { ...port, hostPort },
    close: async () => {
      for (const socket of open) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** Nobody says that a sender of datagrams has gone: the one that was silent for longest makes room. */
const MOST_SENDERS = 256;

/** `open` makes a UDP socket from which the container at `ip` is reached. Rejects as `publish` does. */
export async function publishDatagrams(
  port: PublishedPort,
  ip: string,
  where: string,
  open: () => Promise<DatagramSocket>,
): Promise<OpenPort> {
  const outside = createSocket(isIP(port.hostIp) === 6 ? "udp6" : "udp4");
  const senders = new Map<string, Promise<DatagramSocket | undefined>>();
  const end = (inside: Promise<DatagramSocket | undefined> | undefined): void =>
    void inside?.then((socket) => socket?.close());
  const insideFor = (from: { readonly address: string; readonly port: number }) =>
    open().then(
      (socket) => {
        socket.on("message", (data, { address }) => {
          if (address === ip) outside.send(data, from.port, from.address);
        });
        socket.on("error", () => {}); // lost like any datagram
        return socket;
      },
      () => undefined, // the project is being removed
    );
  await bind(outside, port, where);
  outside.on("message", (data, from) => {
    const sender = `${from.address} ${from.port}`;
    const inside = senders.get(sender) ?? insideFor(from);
    senders.delete(sender);
    senders.set(sender, inside); // the newest is the last
    void inside.then((socket) => socket?.send(data, port.port, ip));
    if (senders.size <= MOST_SENDERS) return;
    const [oldest] = senders.keys();
    end(senders.get(oldest as string));
    senders.delete(oldest as string);
  });
  return {
    port: { ...port, hostPort: outside.address().port },
    close: async () => {
      for (const inside of senders.values()) end(inside);
      await new Promise<void>((resolve) => outside.close(() => resolve()));
    },
  };
}

function join(incoming: Socket, inside: Duplex): void {
  inside.on("error", () => incoming.destroy());
  incoming.once("close", () => inside.destroy());
  incoming.pipe(inside);
  inside.pipe(incoming);
}

function listen(server: Server, port: PublishedPort, where: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => reject(refusal(port, where, cause)));
    server.listen(port.hostPort, port.hostIp, resolve);
  });
}

function bind(socket: DatagramSocket, port: PublishedPort, where: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("error", (cause) => reject(refusal(port, where, cause)));
    socket.bind(port.hostPort, port.hostIp, () => {
      socket.removeAllListeners("error").on("error", () => {}); // who sent has gone: nobody is left to tell
      resolve();
    });
  });
}

function refusal({ hostPort, hostIp }: PublishedPort, where: string, cause: Error): SlipwayError {
  const isTaken = systemCode(cause) === "EADDRINUSE";
  return new SlipwayError({
    code: isTaken ? "ENGINE_PORT_TAKEN" : "ENGINE_PORT_REFUSED",
    where,
    message: isTaken
      ? `port ${hostPort} of ${hostIp} is taken by another program`
      : `cannot listen on ${hostIp}:${hostPort}: ${cause.message}`,
    hint: "Publish another port, or stop what listens there.",
    cause,
    exitCode: 3,
  });
}
