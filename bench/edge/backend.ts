/** Two ports that answer 1 KiB; used when there is no nginx to do it faster. `node backend.ts PORT…` */
import { createServer } from "node:http";

const body = "x".repeat(1024);
for (const port of process.argv.slice(2).map(Number)) {
  createServer({ keepAliveTimeout: 620_000 }, (_request, response) => {
    response.writeHead(200, { "content-type": "text/plain", "content-length": body.length });
    response.end(body);
  }).listen(port, "127.0.0.1");
}
