/**
 * The store on disk: the memory store, and every commit appended to a journal before anyone hears of it.
 *
 *   DIRECTORY/snapshot.jsonl   first line {"resourceVersion":N}, then one object per line; replaced by rename
 *   DIRECTORY/journal.jsonl    one commit per line, those after N count
 *
 * A line is written with one synchronous write(2), so what was acknowledged survives `kill -9` of the process: the
 * kernel has it. It is not fsynced: losing the machine's power may lose the last seconds, which is fine for a
 * local world and would cost milliseconds for every commit. A line that was cut short by a crash is the last one
 * and was never acknowledged; it is dropped. Rejected: SQLite (a native module or an experimental API for what is
 * an append), and a write per second (loses acknowledged objects).
 */
import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { SlipwayError, systemCode } from "@slipway/base";
import type { KubeObject } from "../resources/meta.ts";
import { createStore, type MemoryStore, type StoreSnapshot } from "./memory.ts";
import type { StoreEvent } from "./store.ts";

export interface JournaledStore extends MemoryStore {
  /** Writes a new snapshot and empties the journal. Done by itself when the journal has grown; at stop it is a courtesy. */
  compact(): void;
  /** Commits after this are refused. */
  close(): void;
}

export interface JournalOptions {
  readonly replay?: number;
  /** The journal is folded into a snapshot when it is longer than this and than the snapshot. Default 4 MiB. */
  readonly compactBytes?: number;
}

/** One line of the journal. `v` is the resourceVersion of the commit. */
type Line =
  | { readonly v: number; readonly op: "create" | "update"; readonly object: KubeObject }
  | {
      readonly v: number;
      readonly op: "delete";
      readonly kind: string;
      readonly namespace: string;
      readonly name: string;
    };

/** Opens the store in `directory`, which is made if need be. One process at a time may have it open. */
export function openStore(directory: string, options: JournalOptions = {}): JournaledStore {
  mkdirSync(directory, { recursive: true });
  const snapshotPath = join(directory, "snapshot.jsonl");
  const journalPath = join(directory, "journal.jsonl");
  const compactBytes = options.compactBytes ?? 4 * 1024 * 1024;
  const { snapshot, bytes: snapshotLength } = readSnapshot(snapshotPath);
  const { lines, bytes: journalLength } = readJournal(journalPath);
  const journal = new Journal(journalPath, journalLength);
  let snapshotBytes = snapshotLength;
  let isReplaying = true;

  const store = createStore({
    from: snapshot,
    ...(options.replay === undefined ? {} : { replay: options.replay }),
    persist: (event) => {
      if (!isReplaying) journal.append(`${JSON.stringify(lineOf(event))}\n`);
    },
  });
  for (const line of lines) replay(store, line, journalPath);
  isReplaying = false;

  const compact = (): void => {
    snapshotBytes = writeSnapshot(snapshotPath, store.snapshot());
    // A crash here leaves lines that the snapshot has already; they are skipped by their version.
    journal.empty();
  };
  const compactIfLong = (): void => {
    if (journal.bytes > Math.max(compactBytes, snapshotBytes)) compact();
  };
  compactIfLong();
  return {
    get resourceVersion() {
      return store.resourceVersion;
    },
    get: (kind, namespace, name) => store.get(kind, namespace, name),
    list: (kind, namespace) => store.list(kind, namespace),
    ownedBy: (uid) => store.ownedBy(uid),
    watch: (filter, listener) => store.watch(filter, listener),
    snapshot: () => store.snapshot(),
    commit: (write) => {
      const object = store.commit(write);
      compactIfLong();
      return object;
    },
    compact,
    close: () => journal.close(),
  };
}

class Journal {
  readonly #path: string;
  #file: number | undefined;
  #bytes: number;

  constructor(path: string, bytes: number) {
    this.#path = path;
    this.#bytes = bytes;
    this.#file = openSync(path, "a", 0o600);
    ftruncateSync(this.#file, bytes); // what a crash left of a last line
  }

  get bytes(): number {
    return this.#bytes;
  }

  append(line: string): void {
    const data = Buffer.from(line);
    const file = this.#open();
    try {
      for (let written = 0; written < data.length; ) written += writeSync(file, data, written);
    } catch (cause) {
      // A full disk: take the part of a line back, or the next commit would be glued to it.
      ftruncateSync(file, this.#bytes);
      throw failed(
        "STORE_WRITE_FAILED",
        this.#path,
        `could not be written: ${(cause as Error).message}`,
        cause,
      );
    }
    this.#bytes += data.length;
  }

  empty(): void {
    ftruncateSync(this.#open(), 0);
    this.#bytes = 0;
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #open(): number {
    if (this.#file !== undefined) return this.#file;
    throw failed("STORE_CLOSED", this.#path, "the store is closed");
  }
}

function lineOf({ type, object, resourceVersion }: StoreEvent): Line {
  if (type !== "DELETED") return { v: resourceVersion, op: type === "ADDED" ? "create" : "update", object };
  const { namespace = "", name } = object.metadata;
  return { v: resourceVersion, op: "delete", kind: object.kind, namespace, name };
}

function replay(store: MemoryStore, line: Line, path: string): void {
  if (line.v <= store.resourceVersion) return;
  if (line.v !== store.resourceVersion + 1) {
    throw corrupt(path, `commit ${line.v} follows ${store.resourceVersion}`);
  }
  try {
    store.commit(line);
  } catch (cause) {
    throw corrupt(path, `commit ${line.v} does not fit what is before it`, cause);
  }
}

function readJournal(path: string): { lines: readonly Line[]; bytes: number } {
  const data = readIfExists(path);
  const bytes = data.lastIndexOf(0x0a) + 1;
  const texts = data.toString("utf8", 0, bytes).split("\n").slice(0, -1);
  return { lines: texts.map((text, index) => parseLine<Line>(text, path, index)), bytes };
}

function readSnapshot(path: string): { snapshot: StoreSnapshot; bytes: number } {
  const data = readIfExists(path);
  if (data.length === 0) return { snapshot: { resourceVersion: 0, objects: [] }, bytes: 0 };
  const [head = "", ...rest] = data.toString("utf8").trimEnd().split("\n");
  const { resourceVersion } = parseLine<{ resourceVersion: number }>(head, path, 0);
  const objects = rest.map((text, index) => parseLine<KubeObject>(text, path, index + 1));
  return { snapshot: { resourceVersion, objects }, bytes: data.length };
}

function writeSnapshot(path: string, snapshot: StoreSnapshot): number {
  const { resourceVersion, objects } = snapshot;
  const lines = [{ resourceVersion }, ...objects].map((item) => JSON.stringify(item));
  const data = Buffer.from(`${lines.join("\n")}\n`);
  const temporary = `${path}.tmp`;
  const file = openSync(temporary, "w", 0o600);
  try {
    for (let written = 0; written < data.length; ) written += writeSync(file, data, written);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
  return data.length;
}

function parseLine<T>(text: string, path: string, index: number): T {
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    throw corrupt(`${path}:${index + 1}`, "not a line of JSON", cause);
  }
}

function readIfExists(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return Buffer.alloc(0);
    throw error;
  }
}

function corrupt(where: string, message: string, cause?: unknown): SlipwayError {
  return failed(
    "STORE_CORRUPT",
    where,
    message,
    cause,
    "Move the folder away to start with an empty cluster.",
  );
}

function failed(code: string, where: string, message: string, cause?: unknown, hint?: string): SlipwayError {
  return new SlipwayError({ code, where, message, cause, hint, exitCode: 3 });
}
