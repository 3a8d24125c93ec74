/**
 * `slipway build` as a heap that has all of it loaded already: scripts/heap.ts runs this file once and keeps the heap (Node's
 * startup snapshot), and bin/slipway starts from that. Loading the modules takes longer than a small build.
 *
 * Before the heap is kept nothing may run but what is pure: what is drawn at random then is the same in every process.
 *
 * A heap is of one bundle. Where that is not the one that start.mjs would run, and where a configuration needs what
 * is not to be had here, the process becomes that of an ordinary start, before it has done anything.
 */
import { existsSync, realpathSync } from "node:fs";
import { createRequire, enableCompileCache } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { startupSnapshot } from "node:v8";
import { systemCode } from "@slipway/base";
import { findBundle } from "../../bin/bundle.mjs";
import { parseConfig, userModules } from "../config/load.ts";
import { parseDockerfile } from "../images/dockerfile/parse.ts";
import { command as build } from "./build.ts";
import { runCommandLine } from "./run.ts";
// What the command imports when it runs.
import "../images/build.ts";
import "./builder.ts";
import "./project.ts";
import "./steps.ts";

/** The folder of the bundle, which the heap lies in. */
const home = (): string => dirname(dirname(fileURLToPath(import.meta.url)));

// What has run is in the heap compiled. Both are pure, and new to every process otherwise.
parseDockerfile(
  'FROM base AS a\nARG A=1\nWORKDIR /a\nCOPY --chown=1:1 a ./b\nENV A=$A\nUSER 1\nEXPOSE 1\nCMD ["a"]\n',
  "Dockerfile",
);
parseConfig("slipway.config.ts", {
  name: "a",
  images: { a: { context: "a" } },
  manifests: ["a.yaml"],
  environments: {
    a: { clusters: { a: { kind: "context", context: "a" } }, registry: "registry.example.com/a" },
  },
});

startupSnapshot.setDeserializeMainFunction(() => {
  const start = process.argv[1] as string;
  const bin = dirname(start);
  const isCheckout = existsSync(join(bin, "../src/cli/main.ts"));
  const wanted =
    isCheckout && process.env["SLIPWAY_SOURCES"] === "1"
      ? undefined
      : findBundle(join(bin, "../dist"), isCheckout ? join(bin, "../../..") : undefined);
  if (wanted === undefined || realpathSync(wanted) !== home()) return startAnew(start);
  enableCompileCache();
  userModules.load = async (url) => {
    try {
      return createRequire(url)(fileURLToPath(url)) as unknown;
    } catch (error) {
      if (systemCode(error) === "ERR_REQUIRE_ASYNC_MODULE") startAnew(start); // it awaits at its top level
      throw error;
    }
  };
  void runCommandLine({ build }, {});
});

function startAnew(start: string): void {
  const options = process.execArgv.filter(
    (option) => option.startsWith("--") && !option.startsWith("--snapshot-blob"),
  );
  process.execve?.(
    process.execPath,
    [process.execPath, ...options, start, ...process.argv.slice(2)],
    process.env,
  );
}
