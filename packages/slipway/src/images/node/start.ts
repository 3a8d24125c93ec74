/** How a Node service is started: the words of CMD, from its package.json. Pure. */
import { SlipwayError } from "@slipway/base";

export interface PackageFile {
  readonly name?: string;
  readonly version?: string;
  readonly main?: string;
  readonly scripts?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** Where the file lies that makes signals work for process 1. */
export const PID1_FILE = "/usr/local/lib/slipway/pid1.cjs";

/**
 * The kernel drops a signal that process 1 has no handler for, so a Node service without one ignores SIGTERM and is
 * killed when the grace period is over. With this, it ends as any other process would; its own handlers come first.
 */
export const PID1_SOURCE = `"use strict";
if (process.pid === 1) {
  for (const [signal, number] of [["SIGTERM", 15], ["SIGINT", 2], ["SIGHUP", 1]]) {
    process.on(signal, () => {
      if (process.listenerCount(signal) === 1) process.exit(128 + number);
    });
  }
}
`;

/**
 * Exec form: `scripts.start` where it is a plain call of node, else `main`, else server.js (as \`npm start\` does it).
 * Rejects with IMAGES_NODE_START when a shell would be needed, or there is nothing to start.
 */
export function startCommand(file: PackageFile, hasServerFile: boolean, where: string): readonly string[] {
  const start = file.scripts?.["start"];
  if (start !== undefined) {
    const words = start.trim().split(/\s+/);
    if (words[0] !== "node" || words.length < 2 || /["'\\$&|;<>()`*?[\]{}~#]/.test(start)) {
      throw fault(where, `scripts.start is ${JSON.stringify(start)}, which is no plain call of node`);
    }
    return ["node", "--require", PID1_FILE, ...words.slice(1)];
  }
  const main = file.main ?? (hasServerFile ? "server.js" : undefined);
  if (main === undefined) throw fault(where, "there is no scripts.start, no main and no server.js");
  return ["node", "--require", PID1_FILE, main];
}

function fault(where: string, message: string): SlipwayError {
  return new SlipwayError({
    code: "IMAGES_NODE_START",
    where,
    message,
    hint: 'Say how it starts: "start": "node server.js", or command: ["node", "server.js"] at the image. A service that needs a shell needs a Dockerfile.',
    exitCode: 2,
  });
}
