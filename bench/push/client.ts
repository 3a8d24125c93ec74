/** One side of `push.bench.ts`: pushes the image of a layout each time a line with its tag comes on standard input. */
import { createInterface } from "node:readline";
import { ImageLayout } from "../../packages/slipway/src/images/layout.ts";
import { createRegistryClient } from "../../packages/slipway/src/images/registry/client.ts";

const [directory, registry] = process.argv.slice(2) as [string, string];
const layout = await ImageLayout.open(directory);
const client = createRegistryClient();
console.log("ready");
for await (const tag of createInterface(process.stdin)) {
  const image = await layout.resolve("bench", tag);
  if (image === undefined) throw new Error(`no image ${tag}`);
  const { uploadedBytes } = await client.push(layout, image, `${registry}/bench/push:${tag}`);
  console.log(JSON.stringify({ tag, uploadedBytes }));
}
await client.close();
