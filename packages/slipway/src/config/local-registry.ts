/** The section `local.registry`: what the registry of the local world keeps, mirrors, and whom it lets in. */
import { parseDuration } from "@slipway/base";
import * as z from "zod";
import { duration } from "./duration.ts";

const rule = {
  keepLast: z.int().min(1).optional().describe("So many of the newest tags of each repository stay."),
  keepFor: duration.optional().describe("What was pushed within this time stays: 30d."),
};

export const localRegistrySchema = z.strictObject({
  retention: z
    .strictObject({
      ...rule,
      repositories: z
        .record(z.string(), z.strictObject(rule))
        .optional()
        .describe('Other rules for single repositories: { "shop/web": { keepLast: 3 } }.'),
    })
    .optional()
    .describe(
      "Which tags stay when `slipway registry gc` runs; what a release may go back to always does. Default: all.",
    ),
  upstreams: z
    .record(
      z.string().regex(/^[a-z0-9]+(?:[._-][a-z0-9]+)*$/, "should be one part of a repository's name"),
      z.string().regex(/^[a-z0-9.-]+(?::\d+)?$/, "should be the host of a registry"),
    )
    .optional()
    .describe('Registries that are mirrored: { hub: "docker.io" } makes hub/library/nginx of library/nginx.'),
  users: z
    .record(
      z.string().regex(/^[^:\s]+$/, "should have no colon and no space"),
      z.strictObject({
        passwordFrom: z.string().min(1).describe("The variable of the environment that holds the password."),
        right: z.enum(["read", "write"]).optional().describe("Default: write."),
      }),
    )
    .optional()
    .describe("Who may use the registry. Default: everybody on this machine."),
  login: z.enum(["basic", "bearer"]).optional().describe("How users are asked for. Default: basic."),
  anonymousRead: z.boolean().optional().describe("Pulling needs no user. Default: false."),
  immutableTags: z.boolean().optional().describe("A tag that exists never moves. Default: false."),
});

export interface RetentionConfig {
  readonly keepLast: number | undefined;
  readonly keepForMs: number | undefined;
}

export interface LocalRegistryConfig {
  /** Undefined keeps everything. */
  readonly retention: RetentionConfig | undefined;
  readonly retentionOf: Readonly<Record<string, RetentionConfig>>;
  /** First part of mirrors' names → host. */
  readonly upstreams: Readonly<Record<string, string>>;
  readonly users: readonly LocalRegistryUser[];
  readonly login: "basic" | "bearer";
  readonly anonymousRead: boolean;
  readonly immutableTags: boolean;
}

export interface LocalRegistryUser {
  readonly name: string;
  /** Name of a variable: the password itself is in no file. */
  readonly passwordFrom: string;
  readonly right: "read" | "write";
}

type Parsed = z.output<typeof localRegistrySchema>;

export function localRegistryOf(parsed: Parsed | undefined): LocalRegistryConfig {
  const { retention } = parsed ?? {};
  return {
    retention: retention === undefined ? undefined : ruleOf(retention),
    retentionOf: Object.fromEntries(
      Object.entries(retention?.repositories ?? {}).map(([name, value]) => [name, ruleOf(value)]),
    ),
    upstreams: parsed?.upstreams ?? {},
    users: Object.entries(parsed?.users ?? {}).map(([name, { passwordFrom, right = "write" }]) => ({
      name,
      passwordFrom,
      right,
    })),
    login: parsed?.login ?? "basic",
    anonymousRead: parsed?.anonymousRead ?? false,
    immutableTags: parsed?.immutableTags ?? false,
  };
}

function ruleOf(rule: { keepLast?: number | undefined; keepFor?: string | undefined }): RetentionConfig {
  return {
    keepLast: rule.keepLast,
    keepForMs: rule.keepFor === undefined ? undefined : parseDuration(rule.keepFor),
  };
}
