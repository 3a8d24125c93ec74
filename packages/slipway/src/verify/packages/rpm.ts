/**
 * RPM's packages, from the SQLite database that RPM 4.16 and later keep (Fedora 33, RHEL 9, …): a table of headers. The
 * older Berkeley and ndb files are named and not read: what they hold is unknown.
 * Source: rpm's lib/backend/sqlite.c (table Packages: hnum, blob) and the RPM v4 header format: two big-endian counts,
 * index entries of tag, type, offset and count, then the data.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ContainerFiles } from "../engines/engine.ts";
import { bytesIfThere, type Package, type PackageDatabase } from "./database.ts";

const FOLDERS = ["/usr/lib/sysimage/rpm", "/var/lib/rpm"];
const TAG = { name: 1000, version: 1001, release: 1002, epoch: 1003 } as const;

export async function readRpm(files: ContainerFiles): Promise<PackageDatabase | undefined> {
  for (const folder of FOLDERS) {
    const path = `${folder}/rpmdb.sqlite`;
    const content = await bytesIfThere(files, path);
    if (content !== undefined) return { manager: "rpm", ...(await readSqlite(content, path)) };
    for (const old of ["Packages", "Packages.db"]) {
      const found = await files.lookup(`${folder}/${old}`);
      if (found.kind === "found") {
        const damage = `${folder}/${old} is in an older form (Berkeley DB or ndb), which Slipway does not read`;
        return { manager: "rpm", packages: [], damage };
      }
    }
  }
  return undefined;
}

async function readSqlite(
  content: Uint8Array,
  from: string,
): Promise<{ readonly packages: readonly Package[]; readonly damage: string | undefined }> {
  const folder = await mkdtemp(join(tmpdir(), "slipway-rpmdb-"));
  try {
    await writeFile(join(folder, "rpmdb.sqlite"), content);
    const { DatabaseSync } = await import("node:sqlite");
    const database = new DatabaseSync(join(folder, "rpmdb.sqlite"));
    try {
      const rows = database.prepare("SELECT blob FROM Packages ORDER BY hnum").all() as {
        blob: Uint8Array;
      }[];
      const packages = rows.map(({ blob }) => parseHeader(blob, from));
      const damage = packages.includes(undefined)
        ? `${from}: a header is damaged`
        : packages.length === 0
          ? `${from}: it has no package`
          : undefined;
      return { packages: packages.filter((one) => one !== undefined), damage };
    } finally {
      database.close();
    }
  } catch (error) {
    return { packages: [], damage: `${from}: ${error instanceof Error ? error.message : String(error)}` };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Undefined when it is cut or has no name. */
function parseHeader(blob: Uint8Array, from: string): Package | undefined {
  const bytes = Buffer.from(blob.buffer, blob.byteOffset, blob.byteLength);
  if (bytes.length < 8) return undefined;
  const count = bytes.readUInt32BE(0);
  const data = 8 + count * 16;
  if (count > 100_000 || data > bytes.length) return undefined;
  const values = new Map<number, string>();
  for (let at = 8; at < data; at += 16) {
    const [tag, type, offset] = [
      bytes.readUInt32BE(at),
      bytes.readUInt32BE(at + 4),
      bytes.readUInt32BE(at + 8),
    ];
    const start = data + offset;
    if (start > bytes.length) return undefined;
    if (type === 6) {
      const end = bytes.indexOf(0, start);
      if (end >= 0) values.set(tag, bytes.toString("utf8", start, end));
    } else if (type === 4 && start + 4 <= bytes.length) values.set(tag, String(bytes.readUInt32BE(start)));
  }
  const [name, version, release] = [values.get(TAG.name), values.get(TAG.version), values.get(TAG.release)];
  if (name === undefined || version === undefined) return undefined;
  const epoch = values.get(TAG.epoch);
  const shown = `${epoch === undefined ? "" : `${epoch}:`}${version}${release === undefined ? "" : `-${release}`}`;
  return { name, version: shown, from };
}
