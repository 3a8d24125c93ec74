/**
 * `npm ci` on a fresh machine refuses a lockfile that leaves out a platform of an optional dependency. `npm install` leaves
 * one out when the registry it asks does not have it, and no machine that already has node_modules notices.
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";

interface Lockfile {
  readonly packages: Record<
    string,
    { readonly version?: string; readonly optionalDependencies?: Record<string, string> }
  >;
}

test("the lockfile has an entry for every optional dependency of every platform", async () => {
  const text = await readFile(join(import.meta.dirname, "..", "package-lock.json"), "utf8");
  const { packages } = JSON.parse(text) as Lockfile;
  const missing = Object.entries(packages).flatMap(([from, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies)
      .filter((name) => packages[`node_modules/${name}`] === undefined)
      .map((name) => `${from}: ${name}`),
  );
  assert.deepEqual(missing, []);
});
