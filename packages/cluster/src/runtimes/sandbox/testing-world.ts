/** A world for tests to kill: runs one pod, which sleeps SLEEP_SECONDS, in the folder that it is given, prints the agent's pid, and waits. */
import { join } from "node:path";
import { systemClock } from "@slipway/base";
import { createSandboxRuntime } from "./sandbox.ts";
import { hostLayer, TestImages } from "./testing.ts";

const directory = process.argv[2] as string;
const seconds = process.env["SLEEP_SECONDS"] as string;
const images = new TestImages().add("sleeper", {
  layers: [{ files: hostLayer(["sleep"]) }],
  config: { Cmd: ["sleep", seconds] },
});
const runtime = await createSandboxRuntime({
  name: "orphan",
  directory,
  layersDirectory: join(directory, "..", "layers"),
  images,
  clock: systemClock,
});
await runtime.startPod({ uid: "p", namespace: "default", name: "p", hostname: "p", hostAliases: [] });
await runtime.startContainer({
  podUid: "p",
  name: "main",
  attempt: 0,
  image: "sleeper",
  imagePullPolicy: "IfNotPresent",
  command: undefined,
  args: undefined,
  workingDir: undefined,
  env: [],
  user: undefined,
  group: undefined,
  runAsNonRoot: false,
  readOnlyRootFilesystem: false,
  mounts: [],
  terminationMessagePath: "",
});
process.stdout.write(`${runtime.agentPid}\n`);
