/** What a package-lock.json says about production: which folders of node_modules belong to it. Pure. */
import { SlipwayError } from "@slipway/base";

interface LockedPackage {
  readonly version?: string;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly optional?: boolean;
  readonly link?: boolean;
}

export interface ProductionPackage {
  /** `node_modules/a/node_modules/b`. */
  readonly path: string;
  readonly version: string | undefined;
  /** May be missing: made for other platforms, for example. */
  readonly isOptional: boolean;
}

/** Rejects with IMAGES_NODE_LOCKFILE for versions below 2 and for links, which lead out of the folder. */
export function productionPackages(text: string, where: string): readonly ProductionPackage[] {
  let packages: Readonly<Record<string, LockedPackage>> | undefined;
  try {
    packages = (JSON.parse(text) as { packages?: Record<string, LockedPackage> }).packages;
  } catch {
    throw fault(where, "is not JSON");
  }
  if (packages === undefined)
    throw fault(where, "is of an old version, which does not say what is for production");
  const kept = Object.entries(packages).filter(
    ([path, { dev, devOptional }]) =>
      path.startsWith("node_modules/") && dev !== true && devOptional !== true,
  );
  const link = kept.find(([, { link: isLink }]) => isLink === true);
  if (link !== undefined)
    throw fault(where, `${link[0]} is a link to another folder, which the image would not have`);
  return kept.map(([path, { version, optional }]) => ({ path, version, isOptional: optional === true }));
}

function fault(where: string, message: string): SlipwayError {
  return new SlipwayError({
    code: "IMAGES_NODE_LOCKFILE",
    where,
    message,
    hint: "Make it with npm 7 or later in this folder; services of a workspace, and others that npm ci cannot make alone, need a Dockerfile.",
    exitCode: 2,
  });
}
