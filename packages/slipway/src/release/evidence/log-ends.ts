/**
 * The first and the last lines of a log, however long it is. An API server counts `limitBytes` from the first line that it
 * sends, also with `tailLines`: asked for both at once, it cuts off the end, which is where a program says why it died.
 * So a log that is too long to be had whole is asked for twice, once from each end.
 */
import type { KubeClient } from "@slipway/kube";
import { withoutSecrets } from "../../observe/access/redact-text.ts";

export interface LogEnds {
  /** Empty when the whole log is in `tail`. */
  readonly head: readonly string[];
  /** Between the two; undefined when there are some and nobody has counted them. */
  readonly omittedLines: number | undefined;
  readonly tail: readonly string[];
}

const HEAD_LINES = 12;
const TAIL_LINES = 25;

type Place = Parameters<KubeClient["logs"]>[0];

/** @param maxBytes up to this the log is read whole, and of neither end more than this is kept */
export async function readLogEnds(
  client: Pick<KubeClient, "logs">,
  place: Place,
  options: {
    readonly container: string;
    readonly previous: boolean;
    readonly maxBytes: number;
    readonly signal?: AbortSignal;
  },
): Promise<LogEnds> {
  const { maxBytes, ...which } = options;
  const first = Buffer.concat(await chunksOf(client.logs(place, { ...which, limitBytes: maxBytes })));
  if (first.length < maxBytes) return endsOf(linesOf(first));
  const last = await lastBytes(
    client.logs(place, { ...which, tailLines: HEAD_LINES + TAIL_LINES + 1 }),
    maxBytes,
  );
  const tail = linesOf(last);
  // A few lines, each of them very long.
  if (tail.length <= HEAD_LINES + TAIL_LINES) return { head: [], omittedLines: 0, tail };
  return {
    head: linesOf(first).slice(0, HEAD_LINES),
    omittedLines: undefined,
    tail: tail.slice(-TAIL_LINES),
  };
}

export function hasLines({ head, tail }: Pick<LogEnds, "head" | "tail">): boolean {
  return head.length + tail.length > 0;
}

function endsOf(lines: readonly string[]): LogEnds {
  if (lines.length <= HEAD_LINES + TAIL_LINES) return { head: [], omittedLines: 0, tail: lines };
  return {
    head: lines.slice(0, HEAD_LINES),
    omittedLines: lines.length - HEAD_LINES - TAIL_LINES,
    tail: lines.slice(-TAIL_LINES),
  };
}

async function chunksOf(log: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of log) chunks.push(chunk);
  return chunks;
}

/** No line has a limit of its own: whatever is sent, no more than this is kept at a time. */
async function lastBytes(log: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Buffer> {
  let kept = Buffer.alloc(0);
  for await (const chunk of log) {
    kept = Buffer.concat([kept, chunk]);
    if (kept.length > 2 * maxBytes) kept = kept.subarray(-maxBytes);
  }
  return kept.subarray(-maxBytes);
}

function linesOf(bytes: Uint8Array): readonly string[] {
  const lines = Buffer.from(bytes).toString().split("\n");
  if (lines.at(-1) === "") lines.pop();
  // It goes into the release's record, and to Slack: a program that dies says what it was started with.
  return lines.map(withoutSecrets);
}
