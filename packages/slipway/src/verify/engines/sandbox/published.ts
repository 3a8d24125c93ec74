/** Ports of this machine that lead to a container's: each connection is dialled inside the sandbox and passed on. */
import { createServer, type Server, type Socket } from "node:net";
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

function join(incoming: Socket, inside: Duplex): void {
  inside.on("error", () => incoming.destroy());
  incoming.once("close", () => inside.destroy());
  incoming.pipe(inside);
  inside.pipe(incoming);
}

function listen(server: Server, port: PublishedPort, where: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => {
      const isTaken = systemCode(cause) === "EADDRINUSE";
      reject(
        new SlipwayError({
          code: isTaken ? "ENGINE_PORT_TAKEN" : "ENGINE_PORT_REFUSED",
          where,
          message: isTaken
            ? `port ${port.hostPort} of ${port.hostIp} is taken by another program`
            : `cannot listen on ${port.hostIp}:${port.hostPort}: ${cause.message}`,
          hint: "Publish another port, or stop what listens there.",
          cause,
          exitCode: 3,
        }),
      );
    });
    server.listen(port.hostPort, port.hostIp, resolve);
  });
}
