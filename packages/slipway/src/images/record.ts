/**
 * What builds remember beside the layout. A record may be gone, cut short by a crash, of an older Slipway, or another one's
 * under this one's name: then it is none, and what it said is made again. So it carries a checksum over its own name
 * and its body; a record that is read is the record that was written here.
 */
import { hash } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import { systemCode, writeCacheText } from "@slipway/base";

/** sha256 in hex, and the line's end. */
const SUM_LENGTH = 65;

/**
 * `path`: one of `ImageLayout.cachePath`; its last two parts name the record. Read at once: records are small and many, and a
 * thread's answer takes longer than the file system's.
 */
export function readRecord<T>(path: string): T | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
  const body = text.slice(SUM_LENGTH);
  if (text.slice(0, SUM_LENGTH) !== `${sumOf(path, body)}\n`) return undefined;
  return JSON.parse(body) as T;
}

/** Replaces the record as a whole. It need not reach the disk: after a power cut it may be damaged, and is then none. */
export function writeRecord(path: string, value: unknown): Promise<void> {
  const body = JSON.stringify(value);
  return writeCacheText(path, `${sumOf(path, body)}\n${body}`);
}

const sumOf = (path: string, body: string): string =>
  hash("sha256", `${basename(dirname(path))}/${basename(path)}\n${body}`);
