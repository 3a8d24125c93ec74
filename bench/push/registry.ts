/** The other side of `push.bench.ts`: the embedded registry in a process of its own. */
import { startRegistry } from "../../packages/slipway/src/images/registry/registry.ts";

const registry = await startRegistry({ directory: process.argv[2] as string, port: 0 });
console.log(registry.host);
