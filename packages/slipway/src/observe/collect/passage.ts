/**
 * What is handed from whoever reads log files to whoever stores their lines. The reader keeps nothing: its files are
 * the spool, and how far each of them is stored is known to the store alone, which writes it together with the rows. So
 * a passage may be sent twice, or a reader start again at any moment, without a line being lost or counted twice.
 */

/** One log: what one attempt of a container wrote, over all files that it was rotated into; or one plain file. */
export interface LogOrigin {
  readonly origin: "pod" | "edge" | "import";
  readonly cluster: string;
  /** Empty where the path does not tell: the store asks the pod then. */
  readonly node: string;
  readonly namespace: string;
  readonly pod: string;
  readonly podUid: string;
  readonly container: string;
  readonly attempt: number;
  readonly framing: "cri" | "plain";
}

/** `osaka/4c1f…/web/0`, or `osaka/edge/access.log/0`. */
export function logKey({ cluster, podUid, container, attempt }: LogOrigin): string {
  return `${cluster}/${podUid}/${container}/${attempt}`;
}

/** The longest line, in bytes: of one that has no end by then, what is there is all. */
export const LINE_BYTES = 1024 * 1024;

/** Bytes of one file, by its stream: `KEY-OF-LOG/FINGERPRINT`. */
export interface Piece {
  readonly stream: string;
  /** Position of the first byte in its file. */
  readonly start: number;
  readonly bytes: Uint8Array;
}

/**
 * The next bytes of one log, in the order in which they were written. It has several pieces where a file was rotated
 * away before the end of its last line, which then goes on in the file after it.
 */
export interface Passage {
  readonly log: LogOrigin;
  readonly pieces: readonly Piece[];
  /** Nothing will follow: a last line without its end is a line. */
  readonly isEnd: boolean;
  /**
   * Bytes before these that nobody will see, rotated away too soon: the stream is to be moved on from `from` to `to`.
   * Of the stream `pointerOf(KEY)` these are no positions: nobody knows how much is missing.
   */
  readonly gap?: { readonly stream: string; readonly from: number; readonly to: number } | undefined;
}

/** How far streams are stored. */
export type Offsets = ReadonlyMap<string, number>;

/** The port of a reader: the store itself, or the way to it over the network. */
export interface Taker {
  /** 0 for what is new. */
  offsets(streams: readonly string[]): Promise<Offsets>;
  /**
   * Stores whole lines and answers how far each stream of the passages is stored now: less than was sent where a line
   * has no end yet, or a pod is not known yet. What is beyond is to be sent again.
   */
  take(passages: readonly Passage[]): Promise<Offsets>;
}

/** Where the newest file that was stored of a log is kept among the offsets: tells what went while nobody read. */
export function pointerOf(key: string): string {
  return `${key}#`;
}

/** A fingerprint as a position: 48 bits, never 0. */
export function pointerTo(stream: string): number {
  return Number.parseInt(stream.slice(stream.lastIndexOf("/") + 1).slice(0, 12), 16) || 1;
}

/** Where each stream stands after `taken` bytes of the pieces, from their begin. */
export function offsetsAfter(pieces: readonly Piece[], taken: number): Map<string, number> {
  const offsets = new Map<string, number>();
  let left = taken;
  for (const { stream, start, bytes } of pieces) {
    const here = Math.min(left, bytes.length);
    if (here === 0 && left === 0 && taken > 0) break;
    offsets.set(stream, start + here);
    left -= here;
  }
  return offsets;
}
