/**
 * What the API of a recorded cluster shows at a moment of the replay: the lines of the recording up to then, with
 * resource versions of our own, which are the position of the line. Everything before the apply is there from the
 * start. Watches read on from a position; nothing is ever delivered out of order within a kind.
 */
import type { KubeObject } from "@slipway/kube";
import type { Recording, RecordingLine } from "./recording.ts";

export interface Change {
  /** The line's position, which is the object's resource version. */
  readonly version: number;
  readonly at: number;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: KubeObject;
}

type LogLine = Extract<RecordingLine, { log: unknown }>;

export interface ReplayStore {
  readonly changes: readonly Change[];
  /** Moments, in ms after the apply, at which something happens; ascending, each once. */
  readonly moments: readonly number[];
  /** Objects of a kind as they are after `elapsedMs`. */
  list(kind: string, elapsedMs: number): readonly KubeObject[];
  /** The version of the newest line that has happened. */
  version(elapsedMs: number): number;
  /** What the recorded API server answered to an apply of this object, after `elapsedMs`. */
  answer(kind: string, name: string, elapsedMs: number): RecordingLine | undefined;
  log(
    pod: string,
    container: string,
    options: { readonly previous: boolean; readonly elapsedMs: number },
  ): string | undefined;
}

/** `change` may alter every object once, like shifting its times; undefined drops the line. */
export function createReplayStore(
  recording: Recording,
  change: (object: KubeObject, type: Change["type"]) => KubeObject | undefined = (object) => object,
): ReplayStore {
  const changes: Change[] = [];
  const kinds = new Map<string, Change[]>();
  for (const [index, line] of recording.lines.entries()) {
    if (!("type" in line)) continue;
    const altered = change(line.object, line.type);
    if (altered === undefined) continue;
    const version = index + 1;
    const metadata = { ...altered.metadata, resourceVersion: String(version) };
    const made: Change = { version, at: line.at, type: line.type, object: { ...altered, metadata } };
    changes.push(made);
    const ofKind = kinds.get(line.object.kind) ?? [];
    ofKind.push(made);
    kinds.set(line.object.kind, ofKind);
  }
  const logs = recording.lines.filter((line): line is LogLine => "log" in line);
  const answers = recording.lines.filter((line) => "applied" in line || "refused" in line);
  return {
    changes,
    moments: [...new Set(recording.lines.map((line) => line.at))],
    list: (kind, elapsedMs) => {
      const objects = new Map<string, KubeObject>();
      for (const one of kinds.get(kind) ?? []) {
        if (one.at > elapsedMs) break;
        const key = `${one.object.metadata.namespace ?? ""}/${one.object.metadata.name}`;
        if (one.type === "DELETED") objects.delete(key);
        else objects.set(key, one.object);
      }
      return [...objects.values()];
    },
    version: (elapsedMs) => changes.findLast((one) => one.at <= elapsedMs)?.version ?? 0,
    answer: (kind, name, elapsedMs) => {
      const own = answers.filter((line) => {
        const told = "applied" in line ? line.applied : "refused" in line ? line.refused : undefined;
        return told?.kind === kind && told.name === name;
      });
      return own.findLast((line) => line.at <= elapsedMs) ?? own[0];
    },
    log: (pod, container, { previous, elapsedMs }) => {
      const own = logs.filter(({ log }) => log.pod === pod && log.container === container);
      const fitting = own.filter(({ log, at }) => log.previous === previous && at <= elapsedMs);
      // The recorder reads a log when the container has ended; a reader that is faster gets the same text.
      return (fitting.at(-1) ?? own.find(({ log }) => log.previous === previous) ?? own.at(-1))?.log.text;
    },
  };
}
