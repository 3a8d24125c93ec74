import assert from "node:assert/strict";
import { connect, createServer, type Server, Socket } from "node:net";
import { after, test } from "node:test";
import type { ServiceRoute } from "../runtimes/runtime.ts";
import { ServiceProxy } from "./service-proxy.ts";

const servers: Server[] = [];
const warnings: string[] = [];
const proxy = new ServiceProxy({
  egress: (host, port) =>
    new Promise((resolve, reject) => {
      const socket = new Socket().pause();
      socket.once("error", reject).connect({ host, port }, () => resolve(socket));
    }),
  warn: (ips, reason) => void warnings.push(`${ips.join()} ${reason}`),
});
after(() => {
  proxy.close();
  for (const server of servers) server.close();
});

async function serve(answer: (socket: Socket) => void): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, answer);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, IP, resolve));
  return (server.address() as { port: number }).port;
}

/**
 * An address of this process alone, and ports that the system gives to nobody who asks for any: one that was free a moment ago
 * may be somebody else's. All of 127.0.0.0/8 is this machine's on Linux only.
 */
const IP =
  process.platform === "linux" ? `127.77.${(process.pid >> 8) & 255}.${process.pid & 255}` : "127.0.0.1";
let nextPort = 20_080;
/** Nobody listens there. */
const closedPort = (): number => nextPort++;

function route(port: number, endpoints: readonly number[], egress?: ServiceRoute["egress"]): ServiceRoute {
  return {
    namespace: "default",
    name: "web",
    clusterIP: IP,
    ports: [
      {
        name: undefined,
        port,
        protocol: "TCP",
        endpoints: endpoints.map((endpoint) => ({ ip: IP, port: endpoint })),
      },
    ],
    ...(egress === undefined ? {} : { egress }),
  };
}

/** Sends, half-closes, and returns all that came, or the error's code. */
function ask(port: number, text = "ping"): Promise<string> {
  return new Promise((resolve) => {
    let answer = "";
    const socket = connect({ host: IP, port, allowHalfOpen: true });
    socket.setEncoding("utf8").on("data", (piece: string) => {
      answer += piece;
    });
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.on("end", () => resolve(answer));
    socket.end(text);
  });
}

const echo = (name: string) => (socket: Socket) => {
  let text = "";
  socket.on("error", () => {});
  socket.setEncoding("utf8").on("data", (piece: string) => {
    text += piece;
  });
  socket.on("end", () => socket.end(`${name}:${text}`)); // answers only after the client's end
};

test("ready endpoints take turns, and a half-closed client still gets its answer", async () => {
  const port = closedPort();
  await proxy.setServices([route(port, [await serve(echo("a")), await serve(echo("b"))])]);
  const answers = [await ask(port), await ask(port), await ask(port), await ask(port)];
  assert.deepEqual(answers.sort(), ["a:ping", "a:ping", "b:ping", "b:ping"]);
});

test("an endpoint that refuses is passed over; when all refuse the client is reset", async () => {
  const port = closedPort();
  const dead = closedPort();
  const live = await serve(echo("live"));
  await proxy.setServices([route(port, [dead, live])]);
  assert.deepEqual([await ask(port), await ask(port)], ["live:ping", "live:ping"]);
  await proxy.setServices([route(port, [dead])]);
  assert.equal(await ask(port), "ECONNRESET");
});

test("without endpoints, or without the Service, the port refuses", async () => {
  const port = closedPort();
  await proxy.setServices([route(port, [await serve(echo("a"))])]);
  assert.equal(await ask(port), "a:ping");
  await proxy.setServices([route(port, [])]);
  assert.equal(await ask(port), "ECONNREFUSED");
  await proxy.setServices([]);
  assert.equal(await ask(port), "ECONNREFUSED");
});

test("a reset by the server reaches the client as a reset", async () => {
  const port = closedPort();
  const resetting = await serve((socket) => void socket.once("data", () => socket.resetAndDestroy()));
  await proxy.setServices([route(port, [resetting])]);
  assert.equal(await ask(port), "ECONNRESET");
});

test("an egress Service goes out through the world", async () => {
  const port = closedPort();
  const outside = await serve(echo("outside"));
  await proxy.setServices([route(port, [], { host: IP, port: outside })]);
  assert.equal(await ask(port), "outside:ping");
});

test("a UDP port is reported once to the pods behind it", async () => {
  const udp: ServiceRoute = {
    namespace: "default",
    name: "dns",
    clusterIP: "127.0.0.1",
    ports: [{ name: undefined, port: 53, protocol: "UDP", endpoints: [{ ip: "10.244.0.2", port: 53 }] }],
  };
  await proxy.setServices([udp]);
  await proxy.setServices([udp]);
  assert.deepEqual(warnings, ["10.244.0.2 ServiceProtocolUnsupported"]);
});
