/**
 * The shell programs around a RUN command, and its table of mounts. Three steps in one set of namespaces: the outer
 * program lays the layers over one another, the inner one (process 1 of another pid namespace) finishes the root and
 * becomes the command, and when that succeeded the outer one packs what it changed.
 */
import { posix } from "node:path";

/**
 * $1 run folder, $2 layers for overlay, $3 more options for overlay, $4 mode and $5 owner of the root folder,
 * $6 the inner program; the rest is its arguments. Standard input has one line for each secret. Exit code 70 is
 * ours; what became of the command stands in the file `exit`.
 *
 * Where the disk refuses to hold overlay's upper folder (as overlay itself does, so in many containers), memory does.
 */
export const OUTER = `
umask 022
run=$1; lower=$2; options=$3; mode=$4; owner=$5; inner=$6; shift 6
lay() {
  mkdir -p "$1/upper" "$1/work" && chmod "$mode" "$1/upper" && chown "$owner" "$1/upper" || return 1
  "$MOUNT" -t overlay -o "lowerdir=$lower,upperdir=$1/upper,workdir=$1/work$options" overlay "$run/root"
}
changed=$run/disk
if ! refused=$(lay "$changed" 2>&1); then
  changed=$run/memory
  "$MOUNT" -t tmpfs -o mode=0755 slipway "$changed" && lay "$changed" || { echo "$refused" >&2; exit 70; }
fi
"$MOUNT" -t tmpfs -o mode=0700 slipway "$run/secrets" || exit 70
while read -r name bits holder content; do
  echo "$content" | base64 -d >"$run/secrets/$name" || exit 70
  chmod "$bits" "$run/secrets/$name" && chown "$holder" "$run/secrets/$name" || exit 70
done
"$UNSHARE" --mount --pid --fork --kill-child -- "$SH" -c "$inner" - "$run" "$@" </dev/null
code=$?
[ -e "$run/begun" ] || exit 70
echo "$code" >"$run/exit"
[ "$code" = 0 ] || exit 0
cd "$changed/upper" || exit 70
exec "$TAR" --create --format=pax --numeric-owner --warning=no-file-ignored --xattrs \\
  --xattrs-include='trusted.overlay.opaque' --xattrs-include='user.*' --xattrs-include='security.capability' \\
  --file="$run/layer.tar" .
`;

/** $1 run folder, $2 how the root is entered (see the cluster's containers); the rest becomes the command. */
export const INNER = `
"$MOUNT" -a -T "$1/fstab" >&2 || exit 70
for device in null zero full random urandom tty; do
  : >"$1/root/dev/$device"; "$MOUNT" --bind "/dev/$device" "$1/root/dev/$device" || exit 70
done
hostname slipway-build 2>/dev/null || echo slipway-build >/proc/sys/kernel/hostname
cd "$1/root" || exit 70
ln -s /proc/self/fd dev/fd; ln -s fd/0 dev/stdin; ln -s fd/1 dev/stdout; ln -s fd/2 dev/stderr; ln -s pts/ptmx dev/ptmx
: >"$1/begun"
if [ "$2" = move ]; then "$MOUNT" --move . / >&2 || exit 70; fi
shift 2
exec "$@"
`;

export interface TableMount {
  readonly source: string;
  /** In the new root, without links. */
  readonly path: string;
  readonly type: "none" | "proc" | "sysfs" | "tmpfs" | "devpts";
  readonly options: string;
}

/** Lines for `mount -a -T`; targets are below `root`. */
export function mountTable(root: string, mounts: readonly TableMount[]): string {
  const lines = mounts.map(({ source, path, type, options }) =>
    [source, posix.join(root, path), type, options].map(escaped).join(" "),
  );
  return `${lines.map((line) => `${line} 0 0`).join("\n")}\n`;
}

/** What every command has: proc, sys and a small dev. `isReal`: run by the real root. */
export function systemMounts(root: string, isReal: boolean, hasSysrq: boolean): readonly TableMount[] {
  return [
    { source: "proc", path: "/proc", type: "proc", options: "nosuid,nodev,noexec" },
    // Only the real root could write the kernel's own settings.
    ...(isReal
      ? [readOnlySelf(root, "/proc/sys"), ...(hasSysrq ? [readOnlySelf(root, "/proc/sysrq-trigger")] : [])]
      : []),
    isReal
      ? { source: "sysfs", path: "/sys", type: "sysfs", options: "ro,nosuid,nodev,noexec" }
      : { source: "/sys", path: "/sys", type: "none", options: "rbind" },
    { source: "slipway", path: "/dev", type: "tmpfs", options: "mode=0755,nosuid,noexec" },
    {
      source: "devpts",
      path: "/dev/pts",
      type: "devpts",
      options: `${MAKE},newinstance,ptmxmode=0666,mode=0620`,
    },
    { source: "slipway", path: "/dev/shm", type: "tmpfs", options: `${MAKE},mode=1777,nosuid,nodev` },
  ];
}

/** mount(8) makes the folder it mounts on, here one of the fresh /dev. */
const MAKE = "X-mount.mkdir";

const readOnlySelf = (root: string, path: string): TableMount => ({
  source: posix.join(root, path),
  path,
  type: "none",
  options: "bind,ro",
});

/** fstab(5) separates by blanks and writes them in octal. */
const escaped = (text: string): string =>
  text.replace(/[\s\\#]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, "0")}`);
