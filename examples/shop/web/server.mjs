// The shop's front: answers `/` and `/orders`, passes `/be1/` and `/be2/` on to the backends by their Service names,
// and writes one access log line per request in nginx's combined format with timings.
import { readFileSync } from "node:fs";
import { Agent, createServer, request } from "node:http";

const release = readFileSync(new URL("./release.txt", import.meta.url), "utf8").trim();
const node = process.env.NODE_NAME ?? "unknown";
const pod = process.env.HOSTNAME ?? "unknown";
const upstreams = { "/be1/": "backend1", "/be2/": "backend2" };
// A connection for each request, as nginx does by default: a backend that leaves is never met on an old connection.
const agent = new Agent({ keepAlive: false });

const server = createServer((incoming, outgoing) => {
  const startedAt = performance.now();
  const timing = { upstreamMs: undefined };
  outgoing.on("close", () => log(incoming, outgoing, performance.now() - startedAt, timing.upstreamMs));
  const prefix = Object.keys(upstreams).find((path) => incoming.url.startsWith(path));
  if (prefix)
    return pass(incoming, outgoing, upstreams[prefix], incoming.url.slice(prefix.length - 1), timing);
  if (incoming.url === "/healthz") return outgoing.end("ok\n");
  if (incoming.url === "/readyz") return answerReadiness(outgoing);
  if (incoming.url === "/orders" && incoming.method === "POST") return takeOrder(incoming, outgoing);
  if (incoming.url === "/") return json(outgoing, 200, { service: "web", release, node, pod });
  json(outgoing, 404, { error: "not found", release });
});

// Ready as soon as every backend has answered once. A front that is up before its backends, as after the loss of a whole
// cluster, would answer 502. Once seen is enough: a backend that fails later must not take the front away with it.
const unseen = new Set(Object.values(upstreams));
async function answerReadiness(outgoing) {
  await Promise.all([...unseen].map(async (host) => (await hasAnswered(host)) && unseen.delete(host)));
  if (unseen.size === 0) return outgoing.end("ok\n");
  json(outgoing, 503, { error: `no answer yet from ${[...unseen].join(", ")}`, release });
}

function hasAnswered(host) {
  return new Promise((resolve) => {
    request({ host, port: 80, path: "/healthz", agent, timeout: 500 }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    })
      .on("timeout", function () {
        this.destroy();
      })
      .on("error", () => resolve(false))
      .end();
  });
}

async function takeOrder(incoming, outgoing) {
  let text = "";
  for await (const chunk of incoming) text += chunk;
  // What a payment provider would take. Requests of this length are in flight whenever a pod is told to stop.
  setTimeout(() => json(outgoing, 201, { service: "web", release, node, pod, order: JSON.parse(text) }), 150);
}

function pass(incoming, outgoing, host, path, timing) {
  const startedAt = performance.now();
  const { host: _, connection, ...headers } = incoming.headers;
  const upstream = request(
    { host, port: 80, path, method: incoming.method, agent, headers: { ...headers, host } },
    (answer) => {
      outgoing.writeHead(answer.statusCode, answer.headers);
      answer.pipe(outgoing);
      answer.on("end", () => (timing.upstreamMs = performance.now() - startedAt));
    },
  );
  upstream.on("error", (error) => {
    timing.upstreamMs = performance.now() - startedAt;
    if (outgoing.headersSent) outgoing.destroy();
    else json(outgoing, 502, { error: `${host}: ${error.message}`, release, node });
  });
  incoming.pipe(upstream);
}

function json(outgoing, status, value) {
  const text = `${JSON.stringify(value)}\n`;
  outgoing.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
  });
  outgoing.end(text);
}

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
function log(incoming, outgoing, ms, upstreamMs) {
  if (incoming.url === "/healthz" || incoming.url === "/readyz") return;
  const [date, time] = new Date().toISOString().split("T");
  const [year, month, day] = date.split("-");
  const at = `${day}/${months[month - 1]}/${year}:${time.slice(0, 8)} +0000`;
  const from = (incoming.headers["x-forwarded-for"] ?? incoming.socket.remoteAddress ?? "-").split(",")[0];
  const quote = (value) =>
    (value ?? "-").replaceAll(
      /[^\x20-\x7e]|["\\]/g,
      (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`,
    );
  console.log(
    `${from} - - [${at}] "${incoming.method} ${quote(incoming.url)} HTTP/${incoming.httpVersion}" ${outgoing.statusCode} ` +
      `${outgoing.getHeader("content-length") ?? 0} "${quote(incoming.headers.referer)}" "${quote(incoming.headers["user-agent"])}" ` +
      `${(ms / 1000).toFixed(3)} ${upstreamMs === undefined ? "-" : (upstreamMs / 1000).toFixed(3)}`,
  );
}

// A load balancer keeps its connections open for long; a server that closes first would break one in use.
server.keepAliveTimeout = 620_000;
server.headersTimeout = 625_000;
server.listen(8080, () => console.log(`web ${release} listens on 8080`));
// Nothing clever on SIGTERM: the preStop wait has let every request finish before it comes.
process.on("SIGTERM", () => process.exit(0));
