/**
 * Follows the log files of a node: those of its pods, and single files like the edge's access log. Nothing is kept here
 * but open files; how far each is stored is asked from the store (`passage.ts` says why), and bytes are read only when
 * it has taken the ones before.
 *
 * Twice a second every folder and file is asked for its size and time of change, which costs microseconds each; only a
 * folder that has changed is listed. A watch (inotify) of the pods' folder makes a new pod known at once. Watches of the
 * files themselves would wake us for each line.
 */
import { type FSWatcher, readdirSync, statSync, watch } from "node:fs";
import { basename, dirname, join } from "node:path";
import { type Clock, type Random, systemCode } from "@slipway/base";
import { type Candidate, FollowedLog } from "./followed-log.ts";
import { attemptsIn, filesOf, type Layout, podFolder, type RotatedFile } from "./log-folder.ts";
import { LINE_BYTES, type LogOrigin, type Offsets, type Passage, type Taker } from "./passage.ts";

export type LogPlace =
  | {
      readonly kind: Layout;
      readonly directory: string;
      readonly cluster: string;
      /** Empty: the pod tells. */
      readonly node: string;
    }
  | { readonly kind: "file"; readonly path: string; readonly log: LogOrigin };

export interface TailOptions {
  readonly places: readonly LogPlace[];
  readonly taker: Taker;
  readonly clock: Clock;
  /** Spreads waits. */
  readonly random?: Random;
  /** Which pods' logs are read. Default: all. */
  readonly wants?: (log: LogOrigin) => boolean;
  readonly onProblem: (error: unknown) => void;
  /** Default 500. */
  readonly everyMs?: number;
  /** Of one log at a time. Default 1 MiB, which is also the longest line. */
  readonly passageBytes?: number;
  /** Of all logs at a time. Default 8 MiB. */
  readonly roundBytes?: number;
}

export interface TailFigures {
  readonly logs: number;
  /** Bytes that are there and not stored. */
  readonly unread: number;
}

/** A first line after silence is taken at the next look; while lines go on coming, each commit takes more of them. */
const RESTS = 2;
const BACK_OFF_MS = { first: 250, most: 15_000 } as const;
/** File systems stamp changes by the tick of the kernel: a folder that changed just now may change again unseen. */
const TICK_MS = 50;

interface Folder {
  readonly path: string;
  readonly place: LogPlace;
  /** Time of change when it was listed, if that can be trusted to tell the next one. */
  changedMs: number | undefined;
  /** By attempt. */
  readonly logs: Map<number, FollowedLog>;
  isGone: boolean;
}

type Looked = readonly [FollowedLog, readonly Candidate[]];

export class Tail {
  readonly #options: TailOptions;
  readonly #everyMs: number;
  readonly #passageBytes: number;
  readonly #roundBytes: number;
  /** Folders of containers and of single files, by path. */
  readonly #folders = new Map<string, Folder>();
  /** Which containers a pod's folder has, and when that was listed. */
  readonly #pods = new Map<
    string,
    { readonly names: readonly string[]; readonly changedMs: number | undefined }
  >();
  #watchers: FSWatcher[] = [];
  #wake = new AbortController();
  #turn = 0;
  #hasTaken = false;

  constructor(options: TailOptions) {
    this.#options = options;
    this.#everyMs = options.everyMs ?? 500;
    this.#passageBytes = options.passageBytes ?? LINE_BYTES;
    this.#roundBytes = options.roundBytes ?? 8 * 1024 * 1024;
  }

  /** Until `signal` aborts. A store that does not answer is asked again, ever more patiently. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, onProblem } = this.#options;
    this.#watch();
    signal.addEventListener("abort", () => this.#wake.abort(), { once: true });
    let [wait, backOff] = [0, 0];
    try {
      while (!signal.aborted) {
        const began = clock.monotonic();
        try {
          const isBehind = await this.round();
          backOff = 0;
          const every = this.#hasTaken ? RESTS * this.#everyMs : this.#everyMs;
          wait = isBehind ? 0 : Math.max(0, every - (clock.monotonic() - began));
        } catch (error) {
          if (signal.aborted) return;
          onProblem(error);
          backOff = Math.min(BACK_OFF_MS.most, Math.max(BACK_OFF_MS.first, backOff * 2));
          wait = Math.max(this.#spread(backOff), askedToWait(error));
        }
        if (signal.aborted) return;
        this.#wake = new AbortController();
        await clock.sleep(wait, this.#wake.signal).catch(() => {});
      }
    } finally {
      this.close();
    }
  }

  /** Half to all of it: after an outage, readers must not come all at once. */
  #spread(ms: number): number {
    const { random } = this.#options;
    return random === undefined ? ms : ms / 2 + random.int(Math.ceil(ms / 2) + 1);
  }

  /** One look and one passage of each log. True when they were cut: more is there. */
  async round(): Promise<boolean> {
    await this.look();
    const logs = this.#logs().filter((log) => log.unread() > 0);
    const passages: Passage[] = [];
    let left = this.#roundBytes;
    let isCut = false;
    // A loud log must not keep the others from their turn.
    this.#turn += 1;
    for (let index = 0; index < logs.length && left > 0; index += 1) {
      const log = logs[(index + this.#turn) % logs.length] as FollowedLog;
      const room = Math.min(left, this.#passageBytes);
      const passage = await log.next(room).catch((error: unknown) => {
        this.#options.onProblem(error);
        return undefined;
      });
      if (passage === undefined) continue;
      passages.push(passage);
      const length = passage.pieces.reduce((sum, { bytes }) => sum + bytes.length, 0);
      left -= length;
      isCut ||= length === room;
    }
    let hasMoved = false;
    this.#hasTaken = passages.length > 0;
    if (passages.length > 0) {
      const stored = await this.#options.taker.take(passages);
      for (const log of logs) hasMoved = log.taken(stored) || hasMoved;
    }
    this.#release();
    // What was written meanwhile is for the next round: else each line would be a commit of its own.
    return hasMoved && isCut;
  }

  /** Finds what is new and what is gone. */
  async look(): Promise<void> {
    for (const place of this.#options.places) {
      if (place.kind === "file") this.#folder(dirname(place.path), place, place.path);
      else this.#findContainers(place);
    }
    const found: Looked[] = [];
    for (const folder of this.#folders.values()) found.push(...this.#lookInto(folder));
    const questions = found.flatMap(([log, candidates]) => log.questions(candidates));
    const offsets: Offsets = questions.length === 0 ? new Map() : await this.#ask(found, questions);
    for (const [log, candidates] of found) log.adopt(candidates, offsets);
  }

  figures(): TailFigures {
    const logs = this.#logs();
    return { logs: logs.length, unread: logs.reduce((sum, log) => sum + log.unread(), 0) };
  }

  /** Whether files of this pod are there. */
  follows(cluster: string, podUid: string): boolean {
    return this.#logs().some(({ origin }) => origin.cluster === cluster && origin.podUid === podUid);
  }

  close(): void {
    for (const watcher of this.#watchers) watcher.close();
    this.#watchers = [];
    for (const log of this.#logs()) log.close();
    this.#folders.clear();
    this.#pods.clear();
  }

  #logs(): FollowedLog[] {
    return [...this.#folders.values()].flatMap(({ logs }) => [...logs.values()]);
  }

  async #ask(found: readonly Looked[], questions: readonly string[]): Promise<Offsets> {
    try {
      return await this.#options.taker.offsets(questions);
    } catch (error) {
      for (const [log, candidates] of found) log.giveUp(candidates);
      throw error;
    }
  }

  #findContainers(place: Extract<LogPlace, { directory: string }>): void {
    const pods = this.#list(place.directory) ?? [];
    const present = new Set(pods.map((name) => join(place.directory, name)));
    for (const name of pods) {
      if (podFolder(place.kind, name) === undefined) continue;
      const pod = join(place.directory, name);
      for (const container of this.#list(pod) ?? []) {
        const path = join(pod, container);
        this.#folder(path, place, path);
      }
    }
    for (const path of this.#pods.keys())
      if (path.startsWith(`${place.directory}/`) && !present.has(path)) this.#pods.delete(path);
    for (const folder of this.#folders.values())
      if (folder.place === place && !present.has(dirname(folder.path))) folder.isGone = true;
  }

  #folder(path: string, place: LogPlace, key: string): void {
    if (this.#folders.has(key)) return;
    this.#folders.set(key, { path, place, changedMs: undefined, logs: new Map(), isGone: false });
  }

  /** Names in a folder of pods or containers; undefined when it is gone. Listed again only when it has changed. */
  #list(path: string): readonly string[] | undefined {
    const changedMs = changeOf(path);
    if (changedMs === undefined) return undefined;
    const known = this.#pods.get(path);
    if (known !== undefined && known.changedMs === changedMs) return known.names;
    const trusted = this.#trusted(changedMs);
    const names = namesIn(path);
    if (names === undefined) return undefined;
    this.#pods.set(path, { names, changedMs: trusted });
    return names;
  }

  /** Asked before the names are read: they must be read when the tick is over, however long this process waits in between. */
  #trusted(changedMs: number): number | undefined {
    return this.#options.clock.now() - changedMs > TICK_MS ? changedMs : undefined;
  }

  #lookInto(folder: Folder): readonly Looked[] {
    const changedMs = changeOf(folder.path);
    if (changedMs === undefined) {
      folder.isGone ||= folder.place.kind !== "file";
      return [];
    }
    const wantsLook = [...folder.logs.values()].some((log) => log.wantsLook);
    if (changedMs === folder.changedMs && !wantsLook) return [];
    const trusted = this.#trusted(changedMs);
    const names = namesIn(folder.path);
    if (names === undefined) return [];
    folder.changedMs = trusted;
    const attempts = filesIn(folder.place, names);
    const newest = Math.max(...attempts.keys());
    return [...attempts].flatMap(([attempt, files]) => {
      const log = folder.logs.get(attempt) ?? this.#open(folder, attempt);
      if (log === undefined) return [];
      if (attempt < newest) log.end();
      try {
        return [[log, log.look(folder.path, files)] satisfies Looked];
      } catch (error) {
        this.#options.onProblem(error); // one that cannot be opened does not keep the others waiting
        return [];
      }
    });
  }

  #open(folder: Folder, attempt: number): FollowedLog | undefined {
    const log = originOf(folder, attempt);
    if (this.#options.wants !== undefined && !this.#options.wants(log)) return undefined;
    const followed = new FollowedLog(log, this.#options.clock);
    folder.logs.set(attempt, followed);
    return followed;
  }

  #release(): void {
    for (const [key, folder] of this.#folders) {
      for (const [attempt, log] of folder.logs) {
        if (folder.isGone) log.end();
        if (log.release() && folder.isGone) folder.logs.delete(attempt);
      }
      if (folder.isGone && folder.logs.size === 0) this.#folders.delete(key);
    }
  }

  #watch(): void {
    for (const place of this.#options.places) {
      if (place.kind === "file") continue;
      try {
        const watcher = watch(place.directory, { persistent: false }, () => this.#wake.abort());
        watcher.on("error", () => watcher.close()); // out of inotify watches: the next look finds it
        this.#watchers.push(watcher);
      } catch {
        // Not there yet, or no watches left: the next look finds what is new.
      }
    }
  }
}

/** What a collector that is busy asked for. */
function askedToWait(error: unknown): number {
  const wanted = (error as { readonly retryAfterMs?: unknown } | null)?.retryAfterMs;
  return typeof wanted === "number" ? Math.min(wanted, BACK_OFF_MS.most) : 0;
}

function filesIn(place: LogPlace, names: readonly string[]): ReadonlyMap<number, readonly RotatedFile[]> {
  if (place.kind !== "file") return attemptsIn(names);
  const files = filesOf(basename(place.path), names);
  return files.length === 0 ? new Map() : new Map([[place.log.attempt, files]]);
}

function originOf({ place, path }: Folder, attempt: number): LogOrigin {
  if (place.kind === "file") return place.log;
  const pod = podFolder(place.kind, basename(dirname(path)));
  return {
    origin: "pod",
    cluster: place.cluster,
    node: place.node,
    namespace: pod?.namespace ?? "",
    pod: pod?.pod ?? "",
    podUid: pod?.podUid ?? "",
    container: basename(path),
    attempt,
    framing: "cri",
  };
}

function changeOf(path: string): number | undefined {
  try {
    return statSync(path).mtimeMs;
  } catch (error) {
    if (systemCode(error) === "ENOENT" || systemCode(error) === "ENOTDIR") return undefined;
    throw error;
  }
}

function namesIn(path: string): readonly string[] | undefined {
  try {
    return readdirSync(path);
  } catch (error) {
    if (systemCode(error) === "ENOENT" || systemCode(error) === "ENOTDIR") return undefined;
    throw error;
  }
}
