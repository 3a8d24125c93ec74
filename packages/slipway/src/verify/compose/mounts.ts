/** `volumes` and `tmpfs` of a service, in their short and long forms. */
import { homedir } from "node:os";
import { resolve } from "node:path";
import type { ServiceMount } from "../engines/engine.ts";
import { boolean, field, knownKeys, text, texts } from "./fields.ts";
import { invalid, type Place, type Tree, unsupported } from "./tree.ts";

/** Options that are about SELinux labels and Docker Desktop, and change nothing that a container sees. */
const IGNORED_MODES = ["rw", "z", "Z", "cached", "delegated", "consistent"];

export function volumeMount(tree: Tree, what: string, service: string): ServiceMount {
  if (tree.kind === "map") return longMount(tree, what, service);
  const written = text(tree, what);
  const [first = "", second, modes = "", ...more] = written.split(":");
  if (more.length > 0) throw invalid(tree, `${what}: "${written}" has too many parts`);
  const [source, path] = second === undefined ? [undefined, first] : [first, second];
  if (!path.startsWith("/")) throw invalid(tree, `${what}: the target "${path}" should be an absolute path`);
  const options = modes === "" ? [] : modes.split(",");
  const odd = options.find((option) => option !== "ro" && !IGNORED_MODES.includes(option));
  if (odd !== undefined) throw unsupported(tree, `${what}: the option "${odd}" is not supported`);
  const isReadOnly = options.includes("ro");
  if (source === undefined) return { kind: "volume", volume: anonymous(service, path), path, isReadOnly };
  if (/^[./~]/.test(source)) return { kind: "bind", source: pathOf(source, tree.place), path, isReadOnly };
  return { kind: "volume", volume: source, path, isReadOnly };
}

function longMount(tree: Tree, what: string, service: string): ServiceMount {
  const known = ["type", "source", "target", "read_only", "consistency", "bind", "volume", "tmpfs"];
  const map = knownKeys(tree, what, known);
  const get = (key: string): Tree | undefined => field(map, key);
  const [type, target] = [get("type"), get("target")];
  if (type === undefined || target === undefined) throw invalid(tree, `${what}: needs type and target`);
  const path = text(target, `${what}/target`);
  const readOnly = get("read_only");
  const isReadOnly = readOnly !== undefined && boolean(readOnly, `${what}/read_only`);
  const source = get("source");
  for (const [key, options] of [
    ["bind", ["create_host_path"]],
    ["volume", []],
    ["tmpfs", []],
  ] as const) {
    const settings = get(key);
    if (settings !== undefined)
      knownKeys(settings, `${what}/${key}`, options, [
        "propagation",
        "selinux",
        "nocopy",
        "subpath",
        "size",
        "mode",
      ]);
  }
  switch (text(type, what)) {
    case "bind":
      if (source === undefined) throw invalid(tree, `${what}: a bind needs a source`);
      return { kind: "bind", source: pathOf(text(source, what), source.place), path, isReadOnly };
    case "volume": {
      const volume = source === undefined ? anonymous(service, path) : text(source, what);
      return { kind: "volume", volume, path, isReadOnly };
    }
    case "tmpfs":
      return { kind: "tmpfs", path };
    default:
      throw unsupported(type, `${what}: a volume of type ${text(type, what)} is not supported`);
  }
}

export function tmpfsMounts(tree: Tree, what: string): readonly ServiceMount[] {
  return texts(tree, what).map((written) => {
    const [path = "", options] = written.split(":");
    if (options !== undefined)
      throw unsupported(tree, `${what}: options of a tmpfs (${options}) are not supported`);
    return { kind: "tmpfs", path };
  });
}

/** Relative to the folder of the file that it was written in; `~` is the home of who runs this. */
export function pathOf(written: string, place: Place): string {
  if (written === "~" || written.startsWith("~/")) return resolve(homedir(), written.slice(2));
  return resolve(place.directory, written);
}

const anonymous = (service: string, path: string): string => `${service}${path.replaceAll("/", "_")}`;
