/**
 * What a Compose file mounts from this machine, for an engine of another one, which sees none of it: a copy. A folder
 * becomes a volume that is filled before anything starts; a file is put into the container. Decided here, from what lies
 * on this machine; nothing is copied yet. Pure.
 *
 * As with a mount, a folder hides what the image has there, and services with the same folder share it. Otherwise than with
 * one, what containers write does not come back, and what changes here afterwards is not seen there.
 */
import { posix } from "node:path";
import { SlipwayError } from "@slipway/base";
import type { ProjectSpec, ServiceMount, ServiceSpec } from "../engine.ts";

export type SourceKind = "folder" | "file" | "absent" | "other";

export interface Copies {
  /** With volumes in place of folders of this machine, and without its files. */
  readonly services: readonly ServiceSpec[];
  /** Volumes that the project needs for them, and what goes into each. */
  readonly folders: readonly CopiedFolder[];
  /** Put into the container of a service before it starts. */
  readonly files: readonly { readonly service: string; readonly source: string; readonly path: string }[];
}

export interface CopiedFolder {
  readonly volume: string;
  /** Undefined: there is no such folder here, and `docker run --volume` would make an empty one. */
  readonly source: string | undefined;
  /** Files that are mounted over some of its own; `path` is relative. */
  readonly files: readonly { readonly source: string; readonly path: string }[];
}

type Bind = Extract<ServiceMount, { kind: "bind" }>;

/** Throws ENGINE_UNSUPPORTED (exit 2), with each place, for what cannot be a copy. */
export function planCopies(
  { name, services }: Pick<ProjectSpec, "name" | "services">,
  kindOf: (source: string) => SourceKind,
  remote: string,
): Copies {
  const folders = new Map<string, CopiedFolder>();
  const files: Copies["files"][number][] = [];
  const problems: string[] = [];
  const planned = services.map((service): ServiceSpec => {
    const binds = service.mounts.filter((mount) => mount.kind === "bind");
    if (binds.length === 0) return service;
    const isFile = ({ source }: Bind): boolean => kindOf(source) === "file";
    const refuse = ({ source, path }: Bind, why: string): void =>
      void problems.push(`services/${service.name}/volumes: ${source}:${path}: ${why}`);
    const within = new Map<Bind, { readonly source: string; readonly path: string }[]>();
    for (const file of binds.filter(isFile)) {
      const around = innermost(service.mounts, file);
      if (around === undefined && service.isReadOnly) refuse(file, "a file of a root that is read-only");
      else if (around === undefined)
        files.push({ service: service.name, source: file.source, path: file.path });
      else if (around.kind !== "bind") refuse(file, `a file in the ${around.kind} at ${around.path}`);
      else {
        const path = posix.relative(around.path, file.path);
        within.set(around, [...(within.get(around) ?? []), { source: file.source, path }]);
      }
    }
    const mounts = service.mounts.flatMap((mount): readonly ServiceMount[] => {
      if (mount.kind !== "bind") return [mount];
      const kind = kindOf(mount.source);
      if (kind === "file") return [];
      if (kind === "other") {
        refuse(mount, "neither a folder nor a file");
        return [];
      }
      // One with files of this service over it is not the one that others have.
      const own = within.get(mount) ?? [];
      const key = own.length === 0 ? mount.source : `${service.name} ${mount.path}`;
      const folder = folders.get(key) ?? {
        volume: `from-here-${folders.size + 1}`,
        source: kind === "absent" ? undefined : mount.source,
        files: own,
      };
      folders.set(key, folder);
      return [{ kind: "volume", volume: folder.volume, path: mount.path, isReadOnly: mount.isReadOnly }];
    });
    return { ...service, mounts };
  });
  if (problems.length > 0) throw cannotCopy(name, remote, problems);
  return { services: planned, folders: [...folders.values()], files };
}

/** The mount that a file lies in; of several the deepest. */
function innermost(mounts: readonly ServiceMount[], file: Bind): ServiceMount | undefined {
  const around = mounts.filter(
    (mount) => mount !== file && file.path.startsWith(`${mount.path.replace(/\/$/, "")}/`),
  );
  return around.toSorted((one, other) => other.path.length - one.path.length)[0];
}

function cannotCopy(project: string, remote: string, problems: readonly string[]): SlipwayError {
  return new SlipwayError({
    code: "ENGINE_UNSUPPORTED",
    where: `project ${project}`,
    message: `the engine at ${remote} runs on another machine, and these mounts of this one cannot be copied to it:\n  ${problems.join("\n  ")}`,
    hint: "Mount the folder instead of the file, copy it into the image, or run the project here: --engine sandbox.",
    exitCode: 2,
  });
}
