/**
 * Layers of commands that ran before, by content: the same layers below, command, environment, user, folder, network
 * and mounts give the layer of then, and nothing runs. A cache's and a secret's content do not count, as with Docker.
 */
import { createHash } from "node:crypto";
import type { WrittenLayer } from "../layer-writer.ts";
import type { ImageLayout } from "../layout.ts";
import { readRecord, writeRecord } from "../record.ts";
import type { RunMount, RunRequest } from "./request.ts";

/** Change when a command would be run in another way. */
const RECIPE = 2;

export interface RunKeyFacts extends Omit<RunRequest, "layers" | "diffIds" | "onOutput"> {
  /** The content of the layers below, without times: a commit that changes nothing runs nothing. */
  readonly contents: readonly string[];
  readonly ids: "all" | "one-uid";
  /** Of the stage's platform, with its variant: `amd64`, `arm/v7`. */
  readonly architecture: string;
  readonly mtime: number;
}

export function runKey(facts: RunKeyFacts): string {
  const { contents, argv, env, user, workingDir, network, ids, architecture, mtime } = facts;
  const mounts = facts.mounts.map(mountFacts);
  const text = JSON.stringify([
    RECIPE,
    contents,
    argv,
    env,
    user,
    workingDir,
    network,
    mounts,
    ids,
    architecture,
    mtime,
  ]);
  return createHash("sha256").update(text).digest("hex");
}

function mountFacts(mount: RunMount): readonly unknown[] {
  switch (mount.kind) {
    case "bind":
      return ["bind", mount.target, mount.diffId, mount.path];
    case "cache":
      return ["cache", mount.target, mount.id, mount.isReadOnly];
    case "secret":
      return ["secret", mount.target, mount.id, mount.mode, mount.uid, mount.gid];
    case "tmpfs":
      return ["tmpfs", mount.target, mount.sizeBytes];
  }
}

/** A layer, or "empty": the command changed nothing. */
export type RunResult = WrittenLayer | "empty";

const recordOf = (layout: ImageLayout, key: string): string => layout.cachePath("runs", `${key}.json`);

export async function knownRun(layout: ImageLayout, key: string): Promise<RunResult | undefined> {
  const result = readRecord<RunResult>(recordOf(layout, key));
  if (result === undefined || result === "empty") return result;
  if ((await layout.size(result.descriptor.digest)) !== result.descriptor.size) return undefined;
  await layout.touch(result.descriptor.digest);
  return result;
}

export function rememberRun(layout: ImageLayout, key: string, result: RunResult): Promise<void> {
  return writeRecord(recordOf(layout, key), result);
}
