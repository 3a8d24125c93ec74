import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, get, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { systemClock, until, VirtualClock } from "@slipway/base";
import { createHub, MOST_WAITING_BYTES, openStream, type Stream } from "./streams.ts";

interface Told {
  readonly kind: string;
  readonly value: number;
}

function recorder(): { readonly stream: Stream; readonly sent: Told[]; readonly end: () => void } {
  const closing = new AbortController();
  const sent: Told[] = [];
  const send = (data: unknown): boolean => sent.push(data as Told) > 0;
  return {
    sent,
    end: () => closing.abort(),
    stream: { send, closed: closing.signal, close: () => closing.abort() },
  };
}

test("one event of a kind each second; the newest state takes the place of one that waits", async () => {
  const clock = new VirtualClock();
  const hub = createHub<Told>(clock);
  const { stream, sent } = recorder();
  hub.add(stream);
  for (let value = 1; value <= 50; value += 1) hub.publish({ kind: "now", value });
  hub.publish({ kind: "other", value: 7 });
  await clock.advance(10);
  assert.deepEqual(sent, [
    { kind: "now", value: 1 },
    { kind: "other", value: 7 },
  ]);
  await clock.advance(1000);
  assert.deepEqual(sent.at(-1), { kind: "now", value: 50 });
  await clock.advance(5000);
  assert.equal(sent.length, 3);
});

test("events about different things wait for their second; none is lost, and not endlessly many wait", async () => {
  const clock = new VirtualClock();
  const hub = createHub<Told>(clock);
  const { stream, sent } = recorder();
  hub.add(stream);
  for (let value = 0; value < 1000; value += 1) hub.publish({ kind: "incident", value }, String(value));
  await clock.advance(400_000);
  assert.equal(sent.length, 201);
  assert.equal(sent.at(-1)?.value, 999);
});

test("who has left gets nothing, and for nobody nothing is kept", async () => {
  const clock = new VirtualClock();
  const hub = createHub<Told>(clock);
  hub.publish({ kind: "now", value: 1 });
  const { stream, sent, end } = recorder();
  hub.add(stream);
  await clock.advance(2000);
  assert.deepEqual(sent, []);
  end();
  assert.equal(hub.size, 0);
});

test("a reader that does not read is cut off, and one that reads is not", async () => {
  const streams: Stream[] = [];
  const server = createServer((_request, response: ServerResponse) => {
    streams.push(openStream(response, systemClock));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const open = async (): Promise<IncomingMessage> => {
    const [response] = (await once(get({ port, host: "127.0.0.1", agent: false }), "response")) as [
      IncomingMessage,
    ];
    response.on("error", () => undefined);
    return response;
  };
  const slow = await open();
  slow.pause();
  const quick = await open();
  let received = 0;
  quick.on("data", (chunk: Buffer) => {
    received += chunk.length;
  });
  try {
    const [one, other] = streams as [Stream, Stream];
    const line = "x".repeat(64 * 1024);
    let sent = 0;
    await until("the slow one is cut", async () => {
      one.send(line);
      other.send(line);
      sent += line.length;
      // The kernel's buffers take some megabytes before anything waits here.
      await until("the quick one has it", () => received >= sent);
      return one.closed.aborted;
    });
    assert.ok(sent > MOST_WAITING_BYTES);
    assert.equal(other.closed.aborted, false);
  } finally {
    for (const stream of streams) stream.close();
    server.close();
  }
});
