/**
 * The peer: http-proxy-3 as its documentation says is fast, a keep-alive agent shared by all requests; backends take
 * turns. `node http-proxy-3.ts PORT BACKEND_PORT…`
 */
import { Agent, createServer } from "node:http";
import { createProxyServer } from "http-proxy-3";

const [port, ...backendPorts] = process.argv.slice(2).map(Number) as [number, ...number[]];
const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY, maxFreeSockets: 256 });
const proxy = createProxyServer({ agent, xfwd: true });
const targets = backendPorts.map((backend) => `http://127.0.0.1:${backend}`);
let turn = 0;
proxy.on("error", (_error, _request, response) => {
  if ("writeHead" in response) response.writeHead(502).end();
});
createServer({ keepAliveTimeout: 620_000 }, (request, response) => {
  turn = (turn + 1) % targets.length;
  proxy.web(request, response, { target: targets[turn] as string });
}).listen(port, "127.0.0.1");
