import assert from "node:assert/strict";
import { once } from "node:events";
import {
  Agent,
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, test } from "node:test";
import { until } from "@slipway/base";
import { type DrainOptions, drainOnSignal } from "./lifecycle.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

interface Started {
  readonly url: string;
  readonly exits: number[];
  signal(): void;
}

async function started(
  handle: (request: IncomingMessage, response: ServerResponse) => void,
  options: DrainOptions = {},
): Promise<Started> {
  const server = createServer(handle);
  const exits: number[] = [];
  let signal = (): void => {};
  drainOnSignal(server, {
    ...options,
    process: {
      on: (_name, listener) => {
        signal = listener;
      },
      exit: (code) => exits.push(code),
    },
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/`, exits, signal: () => signal() };
}

const agent = new Agent({ keepAlive: true });
cleanups.push(() => agent.destroy());

function get(url: string): Promise<{ text: string; connection: string | undefined }> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { agent }, async (response) => {
      let text = "";
      for await (const chunk of response) text += chunk;
      resolve({ text, connection: response.headers.connection });
    });
    request.on("error", reject).end();
  });
}

test("a request in flight is answered, told that the connection ends, and then the process exits with 0", async () => {
  const arrived = Promise.withResolvers<ServerResponse>();
  const service = await started((_request, response) => arrived.resolve(response));
  const answer = get(service.url);
  const response = await arrived.promise;
  service.signal();
  assert.deepEqual(service.exits, []);
  await assert.rejects(fetch(service.url), "no new connection is taken");
  response.end("done");
  assert.deepEqual(await answer, { text: "done", connection: "close" });
  await until("the exit", () => service.exits.length > 0);
  assert.deepEqual(service.exits, [0]);
});

test("idle keep-alive connections do not hold the process up", async () => {
  const service = await started((_request, response) => response.end("hi"));
  assert.equal((await get(service.url)).connection, "keep-alive");
  service.signal();
  await until("the exit", () => service.exits.length > 0);
  assert.deepEqual(service.exits, [0]);
});

test("an answer whose head had left already is finished, and its connection closed", async () => {
  const arrived = Promise.withResolvers<ServerResponse>();
  const service = await started((_request, response) => {
    response.write("first ");
    arrived.resolve(response);
  });
  const answer = get(service.url);
  const response = await arrived.promise;
  service.signal();
  response.end("last");
  assert.equal((await answer).text, "first last");
  await until("the exit", () => service.exits.length > 0);
  assert.deepEqual(service.exits, [0]);
});

test("a request that never ends is cut when the time is over", async () => {
  const arrived = Promise.withResolvers<void>();
  const service = await started(() => arrived.resolve(), { atMostMs: 30 });
  const answer = get(service.url);
  answer.catch(() => {});
  await arrived.promise;
  service.signal();
  await assert.rejects(answer);
  assert.equal(service.exits[0], 1);
});

test("a second signal ends the process at once", async () => {
  const arrived = Promise.withResolvers<void>();
  const service = await started(() => arrived.resolve());
  get(service.url).catch(() => {});
  await arrived.promise;
  service.signal();
  service.signal();
  assert.deepEqual(service.exits, [130]);
});

test("what is to be closed is closed before the exit, and its failure is an exit with 1", async () => {
  const closed: string[] = [];
  const service = await started((_request, response) => response.end(), {
    onDrained: () => {
      closed.push(`with ${service.exits.length} exits`);
      throw new Error("the database does not answer");
    },
  });
  service.signal();
  await until("the exit", () => service.exits.length > 0);
  assert.deepEqual([closed, service.exits], [["with 0 exits"], [1]]);
});
