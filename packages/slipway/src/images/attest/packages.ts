/**
 * The packages that an image's own databases list: dpkg (also distroless' status.d), apk, and npm's package.json
 * files. Read out of the layers; nothing runs.
 */
import type { FileNode } from "../file-node.ts";
import type { ImageFiles } from "../layers.ts";

export interface InstalledPackage {
  readonly kind: "deb" | "apk" | "npm";
  readonly name: string;
  readonly version: string;
  readonly architecture: string | undefined;
  readonly license: string | undefined;
  /** Where it is listed. */
  readonly path: string;
}

export interface PackageList {
  readonly packages: readonly InstalledPackage[];
  /** `ID` and `VERSION_ID` of /etc/os-release. */
  readonly distribution: { readonly id: string; readonly version: string | undefined } | undefined;
  /** Databases that are there and cannot be read. */
  readonly unread: readonly string[];
}

/** What a bill of materials is about. */
export interface BilledImage {
  readonly name: string;
  readonly digest: string;
  /** ISO 8601. */
  readonly created: string | undefined;
}

const RPM_NAMES = ["rpmdb.sqlite", "Packages", "Packages.db"];
const RPM = /^\/(?:var\/lib|usr\/lib\/sysimage)\/rpm\/[^/]+$/;
/** Where distroless images have one file for each package. */
const STATUS = "/var/lib/dpkg/status.d";
const NPM = /\/node_modules\/(?:@[^/]+\/)?[^/@.][^/]*\/package\.json$/;

export async function listPackages(files: ImageFiles): Promise<PackageList> {
  const read = async (path: string): Promise<string | undefined> => {
    const found = files.lookup(path);
    return found.kind === "found" && found.node.kind === "file" ? files.readText(found.node) : undefined;
  };
  const packages: InstalledPackage[] = [];
  packages.push(...parseDpkg((await read("/var/lib/dpkg/status")) ?? "", "/var/lib/dpkg/status"));
  for (const path of ["/lib/apk/db/installed", "/usr/lib/apk/db/installed"]) {
    const text = await read(path);
    if (text === undefined) continue;
    packages.push(...parseApk(text, path));
    break; // one may be a link to the other
  }
  const unread: string[] = [];
  const lists: { readonly path: string; readonly node: FileNode }[] = [];
  const manifests: { readonly path: string; readonly node: FileNode }[] = [];
  files.visitNamed([...RPM_NAMES, "package.json"], (path, node) => {
    if (RPM.test(path)) unread.push(path);
    if (node.kind === "file" && NPM.test(path)) manifests.push({ path, node });
  });
  const status = files.lookup(STATUS);
  for (const [name, node] of (status.kind === "found" ? status.node.children : undefined) ?? [])
    if (node.kind === "file" && !name.endsWith(".md5sums")) lists.push({ path: `${STATUS}/${name}`, node });
  for (const { path, node } of lists) packages.push(...parseDpkg(await files.readText(node), path));
  for (const { path, node } of manifests) packages.push(...(await npmPackage(files, node, path)));
  const key = ({ kind, name, version }: InstalledPackage): string => `${kind} ${name} ${version}`;
  const sorted = packages.sort((a, b) =>
    key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : a.path < b.path ? -1 : 1,
  );
  return {
    packages: sorted,
    distribution: distributionOf(await read("/etc/os-release")),
    unread: unread.sort(),
  };
}

/** Stanzas of `Key: value`; what is removed but kept its configuration is not installed. */
function parseDpkg(text: string, path: string): readonly InstalledPackage[] {
  return text.split(/\n\s*\n/).flatMap((stanza) => {
    const field = (name: string): string | undefined => new RegExp(`^${name}: *(.*)$`, "m").exec(stanza)?.[1];
    const [name, version, status] = [field("Package"), field("Version"), field("Status")];
    if (name === undefined || version === undefined) return [];
    if (status !== undefined && !/\binstalled$/.test(status)) return [];
    return [
      { kind: "deb" as const, name, version, architecture: field("Architecture"), license: undefined, path },
    ];
  });
}

/** Stanzas of one letter, colon, value. */
function parseApk(text: string, path: string): readonly InstalledPackage[] {
  return text.split(/\n\n+/).flatMap((stanza) => {
    const field = (letter: string): string | undefined =>
      new RegExp(`^${letter}:(.*)$`, "m").exec(stanza)?.[1];
    const [name, version] = [field("P"), field("V")];
    if (name === undefined || version === undefined) return [];
    return [{ kind: "apk" as const, name, version, architecture: field("A"), license: field("L"), path }];
  });
}

async function npmPackage(
  files: ImageFiles,
  node: FileNode,
  path: string,
): Promise<readonly InstalledPackage[]> {
  try {
    const { name, version, license } = JSON.parse(await files.readText(node)) as Record<string, unknown>;
    if (typeof name !== "string" || typeof version !== "string") return [];
    const known = typeof license === "string" ? license : undefined;
    return [{ kind: "npm", name, version, architecture: undefined, license: known, path }];
  } catch {
    return []; // a fixture, not a package
  }
}

function distributionOf(text: string | undefined): PackageList["distribution"] {
  const field = (name: string): string | undefined =>
    new RegExp(`^${name}=["']?([^"'\\n]*)`, "m").exec(text ?? "")?.[1];
  const id = field("ID");
  return id === undefined ? undefined : { id, version: field("VERSION_ID") };
}

/** A package URL (purl specification): `pkg:deb/debian/curl@7.88.1?arch=amd64&distro=debian-12`. */
export function packageUrl(one: InstalledPackage, distribution: PackageList["distribution"]): string {
  const encode = (text: string): string => encodeURIComponent(text).replaceAll("%3A", ":");
  if (one.kind === "npm")
    return `pkg:npm/${one.name.split("/").map(encode).join("/")}@${encode(one.version)}`;
  const id = distribution?.id ?? (one.kind === "deb" ? "debian" : "alpine");
  const qualifiers = [
    ...(one.architecture === undefined ? [] : [`arch=${encode(one.architecture)}`]),
    ...(distribution?.version === undefined ? [] : [`distro=${encode(`${id}-${distribution.version}`)}`]),
  ].join("&");
  return `pkg:${one.kind}/${encode(id)}/${encode(one.name)}@${encode(one.version)}${qualifiers === "" ? "" : `?${qualifiers}`}`;
}

/** A digest as a package URL writes it. */
export const inUrl = (digest: string): string => digest.replace(":", "%3A");
