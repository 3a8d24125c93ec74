/** Stands between a client and a registry, writes down what is asked, and answers itself where a test says so. */
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";

export interface Interposer {
  readonly host: string;
  /** `HEAD /v2/shop/web/blobs/sha256:…`, in the order of arrival. */
  readonly asked: string[];
  close(): Promise<void>;
}

export interface Interposing {
  /** Returns true when it has answered itself. */
  readonly answer?: (incoming: IncomingMessage, outgoing: ServerResponse) => boolean;
  /** The registry's answer on its way back. */
  readonly headers?: (headers: IncomingHttpHeaders, incoming: IncomingMessage) => IncomingHttpHeaders;
}

export async function interpose(registryPort: number, interposing: Interposing = {}): Promise<Interposer> {
  const asked: string[] = [];
  const server = createServer((incoming, outgoing) => {
    asked.push(`${incoming.method} ${incoming.url}`);
    if (interposing.answer?.(incoming, outgoing) === true) return void incoming.resume();
    const { method, url: path, headers } = incoming;
    const onward = request({ port: registryPort, host: "127.0.0.1", method, path, headers }, (answer) => {
      const changed = interposing.headers?.(answer.headers, incoming) ?? answer.headers;
      outgoing.writeHead(answer.statusCode ?? 500, changed);
      answer.pipe(outgoing);
    });
    onward.on("error", () => outgoing.destroy());
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
