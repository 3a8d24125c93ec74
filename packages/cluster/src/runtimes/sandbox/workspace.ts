/** Where the pods of an agent live. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { shellEnvironment } from "./pod-networks.ts";
import type { AgentConfig } from "./protocol.ts";

const run = promisify(execFile);

export function workspaceOf(config: AgentConfig): string {
  return join(config.directory, "run");
}

/**
 * Everything of a pod but its logs lies in memory, in this one mount that no other process can see. Where overlay is
 * refused, whole root filesystems are copied, which only a disk has room for.
 */
export async function prepareWorkspace(config: AgentConfig): Promise<"overlay" | "copy"> {
  const workspace = workspaceOf(config);
  const script = `
set -e
mkdir -p "$1"
"$MOUNT" -t tmpfs -o mode=0755 slipway "$1"
cd "$1"
mkdir -p layers empty dev/pts dev/shm pods containers networks pipes probe/upper probe/work probe/root
"$MOUNT" --bind "$2" layers
for device in null zero full random urandom tty; do : >dev/$device; "$MOUNT" --bind /dev/$device dev/$device; done
ln -s /proc/self/fd dev/fd; ln -s fd/0 dev/stdin; ln -s fd/1 dev/stdout; ln -s fd/2 dev/stderr; ln -s pts/ptmx dev/ptmx
: >dev/termination-log
if "$MOUNT" -t overlay -o "lowerdir=empty,upperdir=probe/upper,workdir=probe/work$3" overlay probe/root 2>/dev/null
then "$UMOUNT" probe/root; echo overlay
else mkdir -p "$4"; rm -rf "$4"/*; "$MOUNT" --bind "$4" containers; echo copy; fi`;
  const { stdout } = await run(
    config.tools.sh,
    [
      ...["-c", script, "-", workspace, config.layersDirectory],
      ...[config.idMode === "root" ? "" : ",userxattr", join(config.directory, "copies")],
    ],
    { env: shellEnvironment(config.tools) },
  );
  return stdout.trim() === "overlay" ? "overlay" : "copy";
}
