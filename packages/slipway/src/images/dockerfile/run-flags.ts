/**
 * The flags of RUN: `--network` and `--mount`. Mounts are read here as data; where their content comes from is
 * decided in `stage.ts`.
 *
 * Source: Dockerfile reference, "RUN --mount", "RUN --network".
 */
import { posix } from "node:path";

/** What this file needs of an instruction. */
interface Flagged {
  readonly keyword: string;
  readonly flags: readonly { readonly name: string; readonly value: string | undefined }[];
}

export type MountFlag =
  | {
      readonly type: "bind";
      /** A stage, an image or a named image of the configuration; undefined is the context. */
      readonly from: string | undefined;
      readonly source: string;
      readonly target: string;
    }
  | {
      readonly type: "cache";
      readonly id: string;
      readonly target: string;
      readonly isReadOnly: boolean;
      readonly isLocked: boolean;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  | {
      readonly type: "secret";
      readonly id: string;
      readonly target: string;
      readonly isRequired: boolean;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  | { readonly type: "tmpfs"; readonly target: string; readonly sizeBytes: number | undefined };

/** Keys by type; what is not here needs an engine. */
const KEYS: Readonly<Record<string, readonly string[]>> = {
  bind: ["type", "target", "dst", "destination", "source", "src", "from", "readonly", "ro"],
  cache: ["type", "id", "target", "dst", "destination", "readonly", "ro", "sharing", "mode", "uid", "gid"],
  secret: ["type", "id", "target", "dst", "destination", "required", "mode", "uid", "gid"],
  tmpfs: ["type", "target", "dst", "destination", "size"],
};

function fieldsOf(value: string): ReadonlyMap<string, string> {
  return new Map(
    value.split(",").map((field) => {
      const equals = field.indexOf("=");
      return equals < 0 ? [field.trim(), "true"] : [field.slice(0, equals).trim(), field.slice(equals + 1)];
    }),
  );
}

const typeOf = (fields: ReadonlyMap<string, string>): string => fields.get("type") ?? "bind";

/** Why a RUN needs an engine; undefined when it does not. */
export function unsupportedRun(instruction: Flagged): string | undefined {
  for (const { name, value = "" } of instruction.flags) {
    if (name === "network") {
      if (!["default", "none", "host"].includes(value)) return `has --network=${value}`;
    } else if (name === "mount") {
      const fields = fieldsOf(value);
      const type = typeOf(fields);
      const keys = KEYS[type];
      if (keys === undefined) return `has a mount of type ${type}`;
      const other = [...fields.keys()].find((key) => !keys.includes(key));
      if (other !== undefined) return `has a ${type} mount with ${other}`;
      if (type === "bind" && ["readonly", "ro"].some((key) => fields.get(key) === "false")) {
        return "has a bind mount that may be written to";
      }
    } else return `has the flag --${name}`;
  }
  return undefined;
}

/** Stages or images that the mounts of an instruction come from, as written. */
export function mountSources(instruction: Flagged): readonly string[] {
  if (instruction.keyword !== "RUN") return [];
  return instruction.flags
    .filter((flag) => flag.name === "mount")
    .flatMap((flag) => fieldsOf(flag.value ?? "").get("from") ?? []);
}

/**
 * A mount, its variables replaced. `workingDir` is what relative targets are relative to. Throws what `fail` makes of
 * a mistake.
 */
export function parseMount(value: string, workingDir: string, fail: (message: string) => Error): MountFlag {
  const fields = fieldsOf(value);
  const first = (...keys: string[]): string | undefined =>
    keys.map((key) => fields.get(key)).find((one) => one !== undefined);
  const number = (key: string, radix: number, fallback: number): number => {
    const text = fields.get(key);
    if (text === undefined) return fallback;
    const parsed = Number.parseInt(text, radix);
    if (!/^\d+$/.test(text) || Number.isNaN(parsed))
      throw fail(`--mount: ${key} must be a number, got "${text}"`);
    return parsed;
  };
  const isTrue = (...keys: string[]): boolean => first(...keys) === "true" || first(...keys) === "1";
  const type = typeOf(fields);
  const written = first("target", "dst", "destination");
  const id = fields.get("id");
  if (type === "secret") {
    const name = id ?? (written === undefined ? undefined : posix.basename(written));
    if (name === undefined) throw fail("--mount=type=secret needs an id");
    return {
      type,
      id: name,
      target: posix.resolve(workingDir, written ?? `/run/secrets/${name}`),
      isRequired: isTrue("required"),
      mode: number("mode", 8, 0o400),
      uid: number("uid", 10, 0),
      gid: number("gid", 10, 0),
    };
  }
  if (written === undefined) throw fail(`--mount=type=${type} needs a target`);
  const target = posix.resolve(workingDir, written);
  if (target === "/") throw fail("--mount cannot cover the root");
  if (type === "tmpfs")
    return {
      type,
      target,
      sizeBytes: fields.has("size") ? sizeOf(fields.get("size") ?? "", fail) : undefined,
    };
  if (type === "cache") {
    const sharing = fields.get("sharing") ?? "shared";
    if (!["shared", "private", "locked"].includes(sharing))
      throw fail(`--mount: sharing=${sharing} is not known`);
    return {
      type,
      id: id ?? target,
      target,
      isReadOnly: isTrue("readonly", "ro"),
      // A private cache would be a second folder while the first is in use; waiting for it is as safe.
      isLocked: sharing !== "shared",
      mode: number("mode", 8, 0o755),
      uid: number("uid", 10, 0),
      gid: number("gid", 10, 0),
    };
  }
  return { type: "bind", from: fields.get("from"), source: first("source", "src") ?? ".", target };
}

/** `64m`, `1g` or bytes. */
function sizeOf(text: string, fail: (message: string) => Error): number {
  const match = /^(\d+)([kmg]?)b?$/i.exec(text);
  if (match === null) throw fail(`--mount: size must be like 64m, got "${text}"`);
  const factor = { "": 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 }[
    (match[2] ?? "").toLowerCase() as "" | "k" | "m" | "g"
  ];
  return Number(match[1]) * factor;
}
