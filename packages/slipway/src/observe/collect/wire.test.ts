import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { zstdCompressSync } from "node:zlib";
import { SlipwayError } from "@slipway/base";
import { ensureCertificates } from "@slipway/cluster";
import { Collector } from "./collector.ts";
import type { Passage, Taker } from "./passage.ts";
import { createReceiver } from "./receiver.ts";
import { createSender, type Sender } from "./sender.ts";
import { Sources } from "./sources.ts";
import { checkScripts } from "./tail-scripts.ts";
import { labelsFor, lineReader, memoryWarehouse, podLog } from "./testing.ts";
import { readMessage, UNPACKED_BYTES, writeMessage } from "./wire.ts";

const TOKEN = "a".repeat(43);
const pki = await ensureCertificates({ name: "collector", now: Date.now() });

interface End {
  readonly url: string;
  readonly sender: Sender;
  close(): Promise<void>;
}

async function reach(taker: Taker, options: { token?: string; bytesAtOnce?: number } = {}): Promise<End> {
  const { bytesAtOnce } = options;
  const receive = createReceiver({
    ...{ taker, cluster: "osaka", token: TOKEN, onProblem: (error) => problems.push(error) },
    ...(bytesAtOnce === undefined ? {} : { bytesAtOnce }),
  });
  const server = createServer({ key: pki.key, cert: pki.certificate }, (request, response) => {
    if (!receive(request, response)) response.writeHead(404).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const sender = createSender({ url, token: () => options.token ?? TOKEN, ca: pki.ca });
  return {
    url,
    sender,
    async close() {
      sender.close();
      server.closeAllConnections();
      await new Promise((resolve) => void server.close(resolve));
    },
  };
}

let problems: unknown[] = [];
const warehouse = memoryWarehouse();
const collect = (): Collector =>
  new Collector({
    warehouse,
    sources: new Sources(warehouse),
    labelsOf: labelsFor,
    openReader: ({ framing }, source) => lineReader(framing, source),
    now: () => 0,
  });
let end: End;
before(async () => {
  end = await reach(collect());
});
after(() => end.close());

let streams = 0;
/** A stream of its own for each test. */
function stream(): (start: number, text: string, changes?: Partial<Passage>) => Passage {
  streams += 1;
  const podUid = `uid-${streams}`;
  const log = podLog({ podUid, framing: "plain", cluster: "not-mine" });
  return (start, text, changes = {}) => ({
    log,
    pieces: [{ stream: `osaka/${podUid}/web/0/f1`, start, bytes: Buffer.from(text) }],
    isEnd: false,
    ...changes,
  });
}
const texts = (): string[] => warehouse.logs.splice(0).map(({ text }) => text);
const only = (offsets: ReadonlyMap<string, number>): number => [...offsets.values()][0] as number;

test("a batch that comes twice is stored once", async () => {
  const of = stream();
  assert.equal(only(await end.sender.take([of(0, "a\nb\n")])), 4);
  assert.equal(only(await end.sender.take([of(0, "a\nb\n")])), 4);
  assert.equal(only(await end.sender.take([of(2, "b\nc\n")])), 6);
  assert.deepEqual(texts(), ["a", "b", "c"]);
});

test("a line that is split over batches is stored when it is whole", async () => {
  const of = stream();
  assert.equal(only(await end.sender.take([of(0, "a\nhal")])), 2);
  assert.equal(only(await end.sender.take([of(2, "half\n")])), 7);
  assert.deepEqual(texts(), ["a", "half"]);
});

test("a batch ahead of what is stored is answered with what is wanted", async () => {
  const of = stream();
  assert.equal(only(await end.sender.take([of(4, "c\n")])), 0);
  assert.deepEqual(texts(), []);
});

test("requests in another order end in the same", async () => {
  const of = stream();
  const [late, early] = await Promise.all([end.sender.take([of(2, "b\n")]), end.sender.take([of(0, "a\n")])]);
  assert.ok([0, 4].includes(only(late)));
  assert.ok(only(early) >= 2);
  await end.sender.take([of(2, "b\n")]);
  assert.deepEqual(texts(), ["a", "b"]);
});

test("a new collector goes on where the old one had committed, and a new agent asks for it", async () => {
  const of = stream();
  await end.sender.take([of(0, "a\n")]);
  const next = await reach(collect());
  const [piece] = of(0, "").pieces;
  assert.equal(only(await next.sender.offsets([piece?.stream as string, "unknown"])), 2);
  assert.equal(only(await next.sender.take([of(0, "a\nb\n")])), 4);
  await next.close();
  assert.deepEqual(texts(), ["a", "b"]);
});

test("agents do not choose their cluster", async () => {
  await end.sender.take([stream()(0, "a\n")]);
  assert.ok(warehouse.sources.every(({ cluster }) => cluster === "osaka"));
  texts();
});

test("a wrong token, and no token, store nothing", async () => {
  const wrong = await reach(collect(), { token: "guess" });
  await assert.rejects(wrong.sender.take([stream()(0, "a\n")]), {
    code: "COLLECTOR_REFUSED",
    message: /401/,
  });
  assert.deepEqual(wrong.sender.figures().failures, { busy: 0, refused: 1, unreachable: 0 });
  await wrong.close();
  assert.deepEqual(texts(), []);
});

test("who shows another certificate is not talked to", async () => {
  const other = await ensureCertificates({ name: "collector", now: Date.now() });
  const sender = createSender({ url: end.url, token: () => TOKEN, ca: other.ca });
  await assert.rejects(sender.take([stream()(0, "a\n")]), { code: "COLLECTOR_UNREACHABLE" });
  assert.deepEqual(sender.figures(), {
    ...{ messages: 0, bytes: 0 },
    failures: { busy: 0, refused: 0, unreachable: 1 },
  });
  sender.close();
});

test("a commit that fails is answered as such, and the same batch taken later", async () => {
  const of = stream();
  warehouse.beforeCommit = () => {
    warehouse.beforeCommit = () => {};
    throw new Error("the disk is broken");
  };
  await assert.rejects(end.sender.take([of(0, "a\n")]), { code: "COLLECTOR_REFUSED", message: /500/ });
  assert.equal(problems.length, 1);
  problems = [];
  assert.equal(only(await end.sender.take([of(0, "a\n")])), 2);
  assert.deepEqual(texts(), ["a"]);
});

test("a full disk is a reason to wait", async () => {
  const of = stream();
  const before = end.sender.figures();
  warehouse.beforeCommit = () => {
    warehouse.beforeCommit = () => {};
    throw new SlipwayError({ code: "WAREHOUSE_FULL", message: "the disk is full" });
  };
  await assert.rejects(end.sender.take([of(0, "a\n")]), { code: "COLLECTOR_BUSY", retryAfterMs: 5000 });
  assert.equal(only(await end.sender.take([of(0, "a\n")])), 2);
  const { messages, bytes, failures } = end.sender.figures();
  assert.deepEqual([messages, failures.busy], [before.messages + 1, before.failures.busy + 1]);
  assert.ok(bytes > before.bytes);
  assert.deepEqual(texts(), ["a"]);
});

test("a collector with too much to do asks to wait", async () => {
  const busy = await reach(collect(), { bytesAtOnce: UNPACKED_BYTES - 1 });
  await assert.rejects(busy.sender.take([stream()(0, "a\n")]), {
    code: "COLLECTOR_BUSY",
    retryAfterMs: 1000,
  });
  await busy.close();
});

const hostile: readonly [what: string, message: Buffer][] = [
  ["nothing", Buffer.alloc(0)],
  ["noise", Buffer.from("GET / HTTP/1.1")],
  ["no head", zstdCompressSync(Buffer.from("ab"))],
  ["a head beyond the end", zstdCompressSync(Buffer.from([255, 255, 255, 255, 1]))],
  ["a head that is no JSON", zstdCompressSync(Buffer.from([0, 0, 0, 1, 65]))],
  ["a small message that unpacks to much", zstdCompressSync(Buffer.alloc(UNPACKED_BYTES + 1))],
];

for (const [what, message] of hostile) {
  test(`not a message: ${what}`, async () => {
    await assert.rejects(readMessage(message), { code: "WIRE_MESSAGE" });
  });
}

test("a message that was cut off, or has a byte too many, is none", async () => {
  const of = stream();
  const whole = await writeMessage([of(0, "some bytes\n")]);
  await assert.rejects(readMessage(whole.subarray(0, -1)), { code: "WIRE_MESSAGE" });
  const [read] = await readMessage(whole);
  assert.deepEqual(Buffer.from(read?.pieces[0]?.bytes ?? []).toString(), "some bytes\n");
});

test("rotation × restarts × kills × refused commits × lost answers, over the wire", async () => {
  await checkScripts(25, async (collector) => {
    const { sender, close } = await reach(collector);
    return { taker: sender, close };
  });
  problems = [];
});
