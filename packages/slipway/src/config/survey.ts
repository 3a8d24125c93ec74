/** What `slipway init` finds in a folder: Dockerfiles, Node services without one, and Kubernetes manifests with the images and ports they name. */
import { readdir, readFile } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { SlipwayError } from "@slipway/base";
import { parseAllDocuments } from "yaml";

export interface FoundDockerfile {
  /** Folder of the Dockerfile, relative; "." for the root. */
  readonly context: string;
  readonly dockerfile: string;
  /** What its FROM lines name, in order, stage names left out. */
  readonly bases: readonly string[];
  /** It has RUN, whose programs must be in the base. */
  readonly hasRun: boolean;
}

export interface FoundObject {
  readonly file: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace: string | undefined;
  readonly value: Readonly<Record<string, unknown>>;
}

export interface Survey {
  readonly name: string;
  readonly dockerfiles: readonly FoundDockerfile[];
  /** Folders with package.json and package-lock.json and without a Dockerfile, relative; "." for the root. */
  readonly nodeFolders: readonly string[];
  /** The same without any package manager's lockfile, there or above. */
  readonly unlockedFolders: readonly string[];
  readonly objects: readonly FoundObject[];
}

const SKIPPED = new Set(["node_modules", ".git", ".slipway", "dist", "build", "coverage", "vendor"]);
const DEPTH = 3;
const LOCKFILE = /^(?:package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml|bun\.lockb?)$/;

export async function surveyProject(root: string): Promise<Survey> {
  const files = (await walk(root, root, DEPTH)).sort();
  const dockerfiles = await Promise.all(
    files
      .filter((file) => /(?:^|\/)(?:Dockerfile|Containerfile)$/.test(file))
      .map((file) => readDockerfile(root, file)),
  );
  const objects = (
    await Promise.all(files.filter((file) => /\.ya?ml$/.test(file)).map((file) => readManifest(root, file)))
  ).flat();
  if (!objects.some(({ kind }) => kind === "Deployment")) {
    throw new SlipwayError({
      code: "INIT_NO_MANIFESTS",
      where: basename(root),
      message: `no Kubernetes Deployment found in YAML files here or up to ${DEPTH} folders below`,
      hint: "Write one (k8s/web.yaml with a Deployment and a Service is enough), then run `slipway init` again.",
      exitCode: 2,
    });
  }
  const has = new Set(files);
  const ownFolders = files
    .filter((file) => basename(file) === "package.json")
    .map((file) => dirname(file))
    .filter((folder) => !dockerfiles.some(({ context }) => context === folder));
  // Above it would be a workspace's.
  const locked = files.filter((file) => LOCKFILE.test(basename(file))).map((file) => dirname(file));
  const isUnlocked = (folder: string): boolean =>
    !locked.some((one) => one === "." || one === folder || folder.startsWith(`${one}/`));
  return {
    ...{ name: await projectName(root), dockerfiles, objects },
    nodeFolders: ownFolders.filter((folder) => has.has(join(folder, "package-lock.json"))),
    unlockedFolders: ownFolders.filter(isUnlocked),
  };
}

async function walk(root: string, folder: string, depth: number): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const lists = await Promise.all(
    entries.map(async (entry): Promise<string[]> => {
      const path = join(folder, entry.name);
      if (entry.isDirectory())
        return depth === 0 || SKIPPED.has(entry.name) ? [] : walk(root, path, depth - 1);
      return entry.isFile() ? [relative(root, path)] : [];
    }),
  );
  return lists.flat();
}

async function readDockerfile(root: string, file: string): Promise<FoundDockerfile> {
  const text = await readFile(join(root, file), "utf8");
  const stages = new Set<string>();
  const bases: string[] = [];
  for (const match of text.matchAll(/^[ \t]*FROM[ \t]+(?:--\S+[ \t]+)*(\S+)(?:[ \t]+AS[ \t]+(\S+))?/gim)) {
    const base = match[1] as string;
    if (!stages.has(base.toLowerCase())) bases.push(base);
    if (match[2] !== undefined) stages.add(match[2].toLowerCase());
  }
  return {
    context: dirname(file),
    dockerfile: basename(file),
    bases,
    hasRun: /^[ \t]*RUN[ \t]/im.test(text),
  };
}

/** YAML that does not parse or is not Kubernetes is somebody else's file: not an error here. */
async function readManifest(root: string, file: string): Promise<FoundObject[]> {
  const text = await readFile(join(root, file), "utf8");
  if (!/^\s*apiVersion:/m.test(text) || !/^\s*kind:/m.test(text)) return [];
  return parseAllDocuments(text).flatMap((document) => {
    if (document.errors.length > 0) return [];
    const value = document.toJS() as Record<string, unknown> | null;
    const metadata = value?.["metadata"] as { name?: unknown; namespace?: unknown } | undefined;
    if (typeof value?.["kind"] !== "string" || typeof metadata?.name !== "string") return [];
    return [
      {
        file,
        kind: value["kind"],
        name: metadata.name,
        namespace: typeof metadata.namespace === "string" ? metadata.namespace : undefined,
        value,
      },
    ];
  });
}

async function projectName(root: string): Promise<string> {
  const clean = (text: string): string =>
    text
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, "-")
      .replaceAll(/^-+|-+$/g, "");
  try {
    const manifest = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { name?: string };
    const fromPackage = clean((manifest.name ?? "").split("/").at(-1) ?? "");
    if (fromPackage !== "") return fromPackage;
  } catch {
    // No package.json, or not one that says a name: the folder's name serves.
  }
  return clean(basename(root)) || "service";
}
