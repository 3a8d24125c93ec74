/**
 * The corpus: images that are broken in one way each, and of which checks that makes untrue. Every other check of the
 * base still holds there. A check that passes although it is named here is a false pass.
 */
import { ACCOUNTS } from "./accounts.ts";
import { CONFIGURATION } from "./configuration.ts";
import { FILES } from "./files.ts";
import type { Mutation, OfBase } from "./mutation.ts";
import { ALPINE, BARE, RPM } from "./other-bases.ts";
import { PACKAGES } from "./packages.ts";
import { RUNNING } from "./running.ts";

const of = (base: Mutation["base"], table: readonly OfBase[]): readonly Mutation[] =>
  table.map((one) => ({ ...one, base }));

export const MUTATIONS: readonly Mutation[] = [
  ...of("web", [...CONFIGURATION, ...FILES, ...ACCOUNTS, ...PACKAGES, ...RUNNING]),
  ...of("bare", BARE),
  ...of("alpine", ALPINE),
  ...of("rpm", RPM),
];
