/**
 * The configuration as one zod schema per section: type, validator and reference page come from here. Objects are
 * strict: an unknown key is an error. Every key carries its description; a test refuses one without.
 */
import * as z from "zod";
import { duration } from "./duration.ts";
import { imageSchema } from "./image-schema.ts";
import { localRegistrySchema } from "./local-registry.ts";
import { imageName, name } from "./names.ts";
import { observeSchema } from "./observe.ts";
import { type PreflightCode, preflightChecks, preflightCodes } from "./preflight-checks.ts";
import { releaseSchema } from "./release-schema.ts";

const serviceTarget = z.strictObject({
  kind: z.literal("service"),
  name,
  port: z.union([z.number().int().min(1).max(65535), z.string()]),
  namespace: name.optional(),
  health: z.string().startsWith("/").optional(),
});

const bucketTarget = z.strictObject({ kind: z.literal("bucket"), name, from: z.string() });

const edgeSchema = z.strictObject({
  hosts: z
    .array(z.string())
    .optional()
    .describe("Host names answered; loopback names always are. Default: every host."),
  routes: z
    .record(
      z
        .string()
        .regex(/^\/[^*]*(?:\/\*)?$|^\/\*$/, 'should be a path like "/healthz" or a prefix like "/static/*"'),
      z.discriminatedUnion("kind", [serviceTarget, bucketTarget]),
    )
    .describe(
      'Path patterns and their targets, made by service() and bucket(). "/x/*" is a prefix; the longest match wins.',
    ),
  port: z
    .number()
    .int()
    .min(0)
    .max(65535)
    .optional()
    .describe("Local port of the edge; 0 takes a free one. Default: 8080."),
  retries: z
    .number()
    .int()
    .min(0)
    .max(10)
    .optional()
    .describe("Endpoints to try after a failed one, where that is safe. Default: 2."),
  drain: duration
    .optional()
    .describe("How long requests in flight may go on after their endpoint has left. Default: 30s."),
});

const slackUser = /^[UW][A-Z0-9]+$/;

const notifySchema = z.strictObject({
  slack: z
    .strictObject({
      channel: z
        .string()
        .optional()
        .describe(
          "Channel for the bot token in SLACK_BOT_TOKEN, by name or id; a webhook in SLACK_WEBHOOK_URL has its own.",
        ),
      mentions: z
        .record(z.string().min(1), z.string().regex(slackUser, "should be a Slack user id, like U012AB3CD"))
        .optional()
        .describe(
          'Authors by mail address or git name and their Slack user ids: { "aki@example.com": "U012AB3CD" }. Others are looked up by mail address.',
        ),
      allow: z
        .union([
          z.literal("channel"),
          z.array(z.string().regex(slackUser, "should be a Slack user id, like U012AB3CD")),
        ])
        .optional()
        .describe(
          'Who may press the buttons: "channel" (its members) or a list of Slack user ids. Default: channel.',
        ),
    })
    .optional()
    .describe("Slack; tokens come from the environment only. Without one the message is printed."),
});

const preflightSchema = z.strictObject(
  Object.fromEntries(
    preflightCodes.map((code) => [
      code,
      z
        .enum(["error", "warning", "off"])
        .optional()
        .describe(`${preflightChecks[code].title}. Default: ${preflightChecks[code].severity}.`),
    ]),
  ) as Record<PreflightCode, z.ZodOptional<z.ZodEnum<{ error: "error"; warning: "warning"; off: "off" }>>>,
);

const manifestsSchema = z
  .array(
    z.union(
      [
        z.string(),
        z.strictObject({
          kustomize: z.string().describe("Folder with a kustomization.yaml, built by kustomize or kubectl."),
        }),
        z.strictObject({
          helm: z
            .strictObject({
              chart: z.string().describe("As helm takes it: a folder, an archive, repo/name or oci://…"),
              release: z
                .string()
                .optional()
                .describe("Name of the Helm release. Default: the service's name."),
              values: z.array(z.string()).optional().describe("Files of values, the last one wins."),
              set: z
                .record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
                .optional()
                .describe('Single values: { "image.pullPolicy": "Always" }.'),
              namespace: name.optional().describe("Default: the environment's."),
            })
            .describe("A Helm chart, through helm template; its hooks are left out."),
        }),
      ],
      { error: "should be a path, { kustomize } or { helm }" },
    ),
  )
  .min(1);

const environmentSchema = z.strictObject({
  clusters: z
    .record(
      name,
      z.discriminatedUnion("kind", [
        z.strictObject({ kind: z.literal("local") }),
        z.strictObject({
          kind: z.literal("context"),
          context: z.string().min(1).describe("Name of the context in the kubeconfig."),
          uid: z
            .string()
            .regex(
              /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
              "should be the UID of the cluster's kube-system Namespace: kubectl get namespace kube-system -o jsonpath={.metadata.uid}",
            )
            .optional()
            .describe("UID of the cluster's kube-system Namespace; any other cluster is refused."),
        }),
      ]),
    )
    .refine((clusters) => Object.keys(clusters).length > 0, "should name at least one cluster")
    .describe("Clusters by name, made by local() and context(); the latter may pin the cluster's UID."),
  registry: z
    .string()
    .optional()
    .describe(
      "host/prefix to push to. Default: the embedded registry, for local clusters only; others need one where there are images.",
    ),
  namespace: name.optional().describe("Namespace of the manifests that name none. Default: default."),
  release: releaseSchema.optional().describe("Overrides of the release section."),
  preflight: preflightSchema.optional().describe("Overrides of the preflight section, code by code."),
  manifests: manifestsSchema
    .optional()
    .describe("Takes the place of the manifests at the top, as for an overlay of this environment."),
  patches: z
    .array(z.string())
    .optional()
    .describe("Strategic-merge patches, files or folders, matched by kind and name."),
  bases: z
    .record(z.string(), z.string())
    .optional()
    .describe(
      'Images named by FROM lines and what stands in for them here: { "node:22-slim": "slipway/node" }.',
    ),
  platforms: z
    .array(
      z
        .string()
        .regex(/^[a-z0-9]+\/[a-z0-9]+(?:\/[a-z0-9.]+)?$/, "should be os/architecture, like linux/arm64"),
    )
    .min(1)
    .refine((all) => new Set(all).size === all.length, "should name each platform once")
    .optional()
    .describe(
      'What the nodes are: ["linux/amd64", "linux/arm64"]; of several an index is built. Default: this machine\'s.',
    ),
  allowHostBases: z
    .array(z.string())
    .optional()
    .describe("Bases made from this machine (slipway/node, slipway/host/nginx) that may leave it."),
});

export const configSchema = z.strictObject({
  name: name.describe("The service: names the release history, the lock and the images."),
  images: z
    .record(imageName, imageSchema)
    .optional()
    .describe("Images that are built or taken, by the name that manifests use."),
  manifests: manifestsSchema.describe(
    "Kubernetes YAML: files, folders (a folder with a kustomization.yaml is built), or one of the following.",
  ),
  environments: z
    .record(name, environmentSchema)
    .refine((all) => Object.keys(all).length > 0, "should have at least one environment")
    .describe("Where the service runs."),
  release: releaseSchema.optional().describe("How a release goes through the clusters."),
  preflight: preflightSchema
    .optional()
    .describe("How much each finding of preflight weighs; docs/reference/preflight.md explains the codes."),
  edge: edgeSchema.optional().describe("The load balancer and bucket in front."),
  verify: z
    .array(z.string())
    .optional()
    .describe("Files or folders with checks, run before anything is pushed."),
  notify: notifySchema.optional().describe("Who is told."),
  observe: observeSchema.optional().describe("Access logs, what is promised, alerts; false turns it off."),
  local: z
    .strictObject({
      egress: z
        .record(name, z.string().regex(/^[^:\s]+:\d+$/, 'should be "host:port"'))
        .optional()
        .describe('Names that local pods may reach outside: { db: "localhost:5432" }.'),
      registry: localRegistrySchema.optional().describe("The registry of the local world."),
    })
    .optional()
    .describe("The local world."),
});

export type ParsedConfig = z.output<typeof configSchema>;
