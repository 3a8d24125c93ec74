/** Sockets of the pods' network that are given to the world, which lives outside of it. */
import { createSocket } from "node:dgram";
import { Socket } from "node:net";
import { send, wireError } from "./channel.ts";
import type { FromAgent, Request } from "./protocol.ts";

/**
 * Connects inside the cluster and gives the socket away. It is paused before it connects and nobody here ever
 * reads from it: a server that speaks first would otherwise lose its greeting to the agent's buffer.
 */
export function dial(id: number, request: Extract<Request, { do: "dial" }>): void {
  const socket = new Socket();
  socket.pause();
  const fail = (error: unknown): void => {
    socket.destroy();
    send({ re: id, error: wireError(error) });
  };
  const timer = setTimeout(() => {
    const place = `${request.ip}:${request.port}`;
    fail(Object.assign(new Error(`connect ETIMEDOUT ${place}`), { code: "ETIMEDOUT" }));
  }, request.timeoutMs);
  socket.once("error", (error) => {
    clearTimeout(timer);
    fail(error);
  });
  socket.once("connect", () => {
    clearTimeout(timer);
    socket.removeAllListeners("error");
    socket.on("error", () => {});
    socket.setNoDelay(true);
    send({ re: id }, socket);
  });
  socket.connect({ host: request.ip, port: request.port });
}

/** A UDP socket inside the cluster, given away: what is sent from it comes from the pods' own network. */
export function openDatagrams(id: number): void {
  const socket = createSocket("udp4");
  socket.once("error", (error) => {
    socket.close();
    send({ re: id, error: wireError(error) });
  });
  socket.bind(0, () => {
    if (!process.connected) return;
    process.send?.({ re: id } satisfies FromAgent, socket, {}, () => socket.close());
  });
}
