// One of the shop's backends: says who it is, and takes orders.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const release = readFileSync(new URL("./release.txt", import.meta.url), "utf8").trim();
const about = {
  service: "backend2",
  release,
  node: process.env.NODE_NAME ?? "unknown",
  pod: process.env.HOSTNAME ?? "unknown",
};

const server = createServer(async (incoming, outgoing) => {
  if (incoming.url === "/healthz") return outgoing.end("ok\n");
  let text = "";
  for await (const chunk of incoming) text += chunk;
  const answer = (status, value) => {
    outgoing.writeHead(status, { "content-type": "application/json" });
    outgoing.end(`${JSON.stringify(value)}\n`);
  };
  if (incoming.method === "POST")
    return setTimeout(() => answer(201, { ...about, order: JSON.parse(text) }), 150);
  answer(200, about);
});

server.keepAliveTimeout = 620_000;
server.headersTimeout = 625_000;
server.listen(8080, () => console.log(`backend2 ${release} listens on 8080`));
process.on("SIGTERM", () => process.exit(0));
