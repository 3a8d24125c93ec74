/**
 * What the names below a folder of container logs mean, and in which order the files of one log were written. Pure.
 *
 *   slipway   POD-UID/CONTAINER/ATTEMPT.log, then .log.1 … .log.4, the highest number the oldest
 *   kubelet   NAMESPACE_POD_UID/CONTAINER/ATTEMPT.log, then .log.20260102-030405, older ones with .gz
 *             (kubernetes/pkg/kubelet/logs/container_log_manager.go: timestampFormat "20060102-150405")
 *   file      PATH, then PATH.1, PATH.2.gz …, the highest number the oldest
 */

export interface PodFolder {
  readonly namespace: string;
  readonly pod: string;
  readonly podUid: string;
}

export type Layout = "slipway" | "kubelet";

/** Undefined for what is no pod's folder. */
export function podFolder(layout: Layout, name: string): PodFolder | undefined {
  if (layout === "slipway") return { namespace: "", pod: "", podUid: name };
  const [namespace, pod, podUid, ...more] = name.split("_");
  if (namespace === undefined || pod === undefined || podUid === undefined || more.length > 0)
    return undefined;
  return { namespace, pod, podUid };
}

export interface RotatedFile {
  readonly name: string;
  readonly isCompressed: boolean;
}

/** The attempts of a container by their files, the oldest file of each first. */
export function attemptsIn(names: readonly string[]): ReadonlyMap<number, readonly RotatedFile[]> {
  const attempts = new Map<number, Aged[]>();
  for (const name of names) {
    const match = /^(\d+)\.log(.*)$/.exec(name);
    const age = match === null ? undefined : ageOf(match[2] as string);
    if (match === null || age === undefined) continue;
    const attempt = Number(match[1]);
    const files = attempts.get(attempt) ?? [];
    files.push({ name, ...age });
    attempts.set(attempt, files);
  }
  return new Map(
    [...attempts].sort(([a], [b]) => a - b).map(([attempt, files]) => [attempt, oldestFirst(files)]),
  );
}

/** The files of a log that is one file, with those that were rotated away from it. */
export function filesOf(base: string, names: readonly string[]): readonly RotatedFile[] {
  return oldestFirst(
    names.flatMap((name) => {
      const age = name.startsWith(base) ? ageOf(name.slice(base.length)) : undefined;
      return age === undefined ? [] : [{ name, ...age }];
    }),
  );
}

interface Aged extends RotatedFile {
  /** Sorts the oldest first. */
  readonly age: string;
}

/** Undefined for names that are not a rotation's, like the `.tmp` that a compression in progress writes. */
function ageOf(suffix: string): Pick<Aged, "age" | "isCompressed"> | undefined {
  if (suffix === "") return { age: "~", isCompressed: false };
  const match = /^\.(?:(\d{1,4})|(\d{8}-\d{6}(?:\.\d+)?))(\.gz)?$/.exec(suffix);
  if (match === null) return undefined;
  const [, number, time] = match;
  // A number grows with age, a time shrinks: both become text that sorts the oldest first.
  const age = number === undefined ? (time as string) : String(9999 - Number(number)).padStart(4, "0");
  return { age, isCompressed: match[3] !== undefined };
}

/** Of a file and its compressed copy, which stand side by side for a moment, the plain one. */
function oldestFirst(files: readonly Aged[]): readonly RotatedFile[] {
  const sorted = files.toSorted((a, b) =>
    a.age === b.age ? Number(a.isCompressed) - Number(b.isCompressed) : a.age < b.age ? -1 : 1,
  );
  return sorted
    .filter((file, index) => index === 0 || sorted[index - 1]?.age !== file.age)
    .map(({ name, isCompressed }) => ({ name, isCompressed }));
}
