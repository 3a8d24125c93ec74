/** Packages, decided from the databases that the file system has. */
import { type CheckOf, fail, type Judgement, type PackageManager, pass, unknown } from "../check.ts";
import type { ContainerFiles } from "../engines/engine.ts";
import { readApk } from "../packages/apk.ts";
import type { PackageDatabase } from "../packages/database.ts";
import { readDpkg } from "../packages/dpkg.ts";
import { readNpm } from "../packages/npm.ts";
import { readRpm } from "../packages/rpm.ts";
import { isInRange } from "../versions/range.ts";

type Read = (files: ContainerFiles, name: string) => Promise<PackageDatabase | undefined>;
const READERS: Readonly<Record<PackageManager, Read>> = {
  dpkg: readDpkg,
  apk: readApk,
  rpm: readRpm,
  npm: readNpm,
};

export async function judgePackage(
  { resource: { name, manager }, expectation }: Pick<CheckOf<"package">, "resource" | "expectation">,
  files: ContainerFiles,
): Promise<Judgement> {
  const managers: readonly PackageManager[] = manager === undefined ? ["dpkg", "apk", "rpm"] : [manager];
  const read = await Promise.all(managers.map((one) => READERS[one](files, name)));
  const databases = read.filter((one) => one !== undefined);
  const found = databases.flatMap((one) =>
    one.packages.filter((entry) => entry.name === name).map((entry) => ({ ...entry, manager: one.manager })),
  );
  const versions = found.map(({ version }) => version).join(", ");
  const damage = databases.find((one) => one.damage !== undefined)?.damage;
  if (expectation.matcher === "absent") {
    if (found.length > 0) return fail(`version ${versions} (${found[0]?.from})`);
    return judgeAbsent(name, databases, files);
  }
  if (found.length === 0) return judgeMissing(databases, damage, managers);
  if (expectation.matcher === "installed") return pass(`version ${versions}`);
  const verdicts = found.map((one) => isInRange(one.manager, one.version, expectation.range));
  if (verdicts.includes(undefined)) {
    return unknown(
      `version ${versions} cannot be compared with "${expectation.range}" as ${found[0]?.manager} does`,
    );
  }
  return verdicts.includes(false) ? fail(`version ${versions}`) : pass(`version ${versions}`);
}

function judgeMissing(
  databases: readonly PackageDatabase[],
  damage: string | undefined,
  managers: readonly PackageManager[],
): Judgement {
  if (databases.length === 0) return fail(`there is no package database (${managers.join(", ")})`);
  // What could not be read may hold it. A database that dpkg's own lists can stand in for is damaged all the same.
  const isUnreadable = databases.some(
    ({ packages, damage: one }) => one !== undefined && packages.length === 0,
  );
  if (damage !== undefined && isUnreadable && !databases.some(({ recorded }) => recorded !== undefined)) {
    return /older form/.test(damage) ? unknown(damage) : fail(`the package database is damaged: ${damage}`);
  }
  const count = databases.reduce((sum, one) => sum + one.packages.length, 0);
  return fail(
    `not among the ${count} packages${damage === undefined ? "" : `; the database is damaged: ${damage}`}`,
  );
}

/** A damaged or missing database proves nothing; dpkg's lists of files, and the program itself, are asked then. */
async function judgeAbsent(
  name: string,
  databases: readonly PackageDatabase[],
  files: ContainerFiles,
): Promise<Judgement> {
  const damaged = databases.filter(({ damage }) => damage !== undefined);
  if (databases.length > 0 && damaged.length === 0) {
    return pass(`not among the ${databases.reduce((sum, one) => sum + one.packages.length, 0)} packages`);
  }
  const recorded = damaged.find((one) => one.recorded?.has(name) === true);
  if (recorded !== undefined) return fail(`${recorded.damage}; dpkg's list of its files is there`);
  for (const folder of ["/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/local/bin", "/usr/share/doc"]) {
    const found = await files.lookup(`${folder}/${name}`);
    if (found.kind === "found")
      return fail(`no readable package database has it, but ${found.path} is there`);
  }
  if (damaged.length > 0 && damaged.every((one) => one.recorded !== undefined)) {
    return pass(`${damaged[0]?.damage}; dpkg's ${damaged[0]?.recorded?.size} lists of files do not have it`);
  }
  return unknown(damaged[0]?.damage ?? "there is no package database, so nothing says what is installed");
}
