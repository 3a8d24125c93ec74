/**
 * A way to a server that can be cut: a TCP proxy on this machine. Cut, it is silent as a network partition is: what is
 * open stays open and carries nothing, new connections are taken and lead nowhere.
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface CuttableWay {
  readonly port: number;
  cut(): void;
  /** Connections from before are dropped: whoever was in a tunnel starts anew. */
  mend(): void;
  close(): Promise<void>;
}

export async function cuttableWay(host: string, port: number): Promise<CuttableWay> {
  const sockets = new Set<Socket>();
  let isCut = false;
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
  };
  const server = createServer((near) => {
    keep(near);
    if (isCut) return void near.pause();
    const far = connect(port, host);
    keep(far);
    near.on("close", () => far.destroy());
    far.on("close", () => near.destroy());
    near.pipe(far);
    far.pipe(near);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const dropAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    cut() {
      isCut = true;
      for (const socket of sockets) socket.unpipe().pause();
    },
    mend() {
      isCut = false;
      dropAll();
    },
    async close() {
      server.close();
      dropAll();
      await once(server, "close");
    },
  };
}
