/**
 * A recording: what the API of one cluster showed around one apply, line by line, as the watches brought it. Times are
 * milliseconds relative to the apply; what was there before has negative ones. The first line is the header.
 *
 *   {"case":"registry-401","kubernetes":"v1.20.2","recordedAt":"2026-11-28T…","place":"real","appliedAt":0,…}
 *   {"at":-2310,"type":"ADDED","object":{"kind":"Pod",…}}
 *   {"at":3,"applied":{"kind":"Deployment","name":"web","generation":2}}
 *   {"at":41,"refused":{"kind":"Service","name":"web","status":{…}}}
 *   {"at":918,"type":"MODIFIED","object":{"kind":"Pod",…}}
 *   {"at":1290,"log":{"pod":"web-…","container":"web","previous":false,"text":"…"}}
 *
 * Objects lack managedFields; names, paths and addresses of the machine were replaced by neutral ones; times are
 * untouched.
 */
import { readFile } from "node:fs/promises";
import { gunzipSync, gzipSync } from "node:zlib";
import { SlipwayError, systemCode } from "@slipway/base";
import type { KubeObject, Status } from "@slipway/kube";
import * as z from "zod";

export interface RecordingHeader {
  /** Id of the case. */
  readonly case: string;
  /** `v1.20.2` */
  readonly kubernetes: string;
  /** ISO 8601; the moment of the apply, to relate the times within objects to `at`. */
  readonly recordedAt: string;
  readonly place: "real" | "hollow" | "by-hand";
  readonly appliedAt: 0;
  /** When the case's decisive signal was first seen; absent where there is none. */
  readonly decisiveAt?: number | undefined;
  readonly namespace: string;
}

export type RecordingLine =
  | { readonly at: number; readonly type: "ADDED" | "MODIFIED" | "DELETED"; readonly object: KubeObject }
  | {
      readonly at: number;
      readonly applied: {
        readonly kind: string;
        readonly name: string;
        readonly generation: number | undefined;
      };
    }
  | {
      readonly at: number;
      readonly refused: { readonly kind: string; readonly name: string; readonly status: Status };
    }
  | {
      readonly at: number;
      readonly log: {
        readonly pod: string;
        readonly container: string;
        readonly previous: boolean;
        readonly text: string;
      };
    };

export interface Recording {
  readonly header: RecordingHeader;
  /** By time. */
  readonly lines: readonly RecordingLine[];
}

const headerSchema = z.strictObject({
  case: z.string(),
  kubernetes: z.string(),
  recordedAt: z.iso.datetime(),
  place: z.enum(["real", "hollow", "by-hand"]),
  appliedAt: z.literal(0),
  decisiveAt: z.number().optional(),
  namespace: z.string(),
});

const at = z.number();
const named = { kind: z.string(), name: z.string() };
const objectSchema = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string(), uid: z.string(), resourceVersion: z.string() }),
});
const lineSchema = z.union([
  z.strictObject({ at, type: z.enum(["ADDED", "MODIFIED", "DELETED"]), object: objectSchema }),
  z.strictObject({ at, applied: z.strictObject({ ...named, generation: z.number().optional() }) }),
  z.strictObject({
    at,
    refused: z.strictObject({
      ...named,
      status: z.looseObject({ kind: z.literal("Status"), code: z.number(), message: z.string() }),
    }),
  }),
  z.strictObject({
    at,
    log: z.strictObject({
      pod: z.string(),
      container: z.string(),
      previous: z.boolean(),
      text: z.string(),
    }),
  }),
]);

/** Reads `recording.jsonl.gz`. Rejects with CORPUS_RECORDING_INVALID, which names the line. */
export async function readRecording(path: string): Promise<Recording> {
  let packed: Buffer;
  try {
    packed = await readFile(path);
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
    throw invalid(path, "there is no recording", "Record it: node scripts/corpus/record.ts ID.");
  }
  let text: string;
  try {
    text = gunzipSync(packed).toString("utf8");
  } catch {
    throw invalid(path, "is not gzip, or is cut off");
  }
  return parseRecording(text, path);
}

export function parseRecording(text: string, where: string): Recording {
  const [first, ...rest] = text.split("\n").filter((line) => line !== "");
  if (first === undefined) throw invalid(where, "is empty");
  const header = checked(headerSchema, first, `${where}:1`) as RecordingHeader;
  const lines = rest.map(
    (line, index) => checked(lineSchema, line, `${where}:${index + 2}`) as RecordingLine,
  );
  for (const [index, line] of lines.entries()) {
    const before = lines[index - 1];
    if (before !== undefined && before.at > line.at)
      throw invalid(`${where}:${index + 2}`, `goes back in time, from ${before.at} to ${line.at}`);
  }
  const problem = incoherence(lines);
  if (problem !== undefined) throw invalid(`${where}:${problem.index + 2}`, problem.message);
  return { header, lines };
}

/** What no watch ever shows: a change of something that is not there, the same object added twice. */
function incoherence(lines: readonly RecordingLine[]): { index: number; message: string } | undefined {
  const there = new Set<string>();
  for (const [index, line] of lines.entries()) {
    if (!("type" in line)) continue;
    const { kind, metadata } = line.object;
    const key = `${kind} ${metadata.name} (${metadata.uid})`;
    if (line.type === "ADDED" && there.has(key)) return { index, message: `${key} is added twice` };
    if (line.type !== "ADDED" && !there.has(key))
      return { index, message: `${key} is ${line.type} before it is added` };
    if (line.type === "DELETED") there.delete(key);
    else there.add(key);
  }
  return undefined;
}

/** As it is stored: deterministic, for the same recording the same bytes. */
export function packRecording(recording: Recording): Buffer {
  const lines = [recording.header, ...recording.lines].map((line) => JSON.stringify(line));
  return gzipSync(`${lines.join("\n")}\n`, { level: 9 });
}

function checked(schema: z.ZodType, line: string, where: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw invalid(where, "is not JSON");
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw invalid(where, z.prettifyError(parsed.error));
  return value;
}

function invalid(where: string, message: string, hint = "corpus/README.md shows the format."): SlipwayError {
  return new SlipwayError({ code: "CORPUS_RECORDING_INVALID", where, message, hint, exitCode: 2 });
}
