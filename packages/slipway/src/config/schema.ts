/**
 * The configuration as one zod schema per section: type, validator and reference page come from here. Objects are
 * strict: an unknown key is an error. Every key carries its description; a test refuses one without.
 */
import * as z from "zod";
import { duration } from "./duration.ts";
import { localRegistrySchema } from "./local-registry.ts";
import { observeSchema } from "./observe.ts";
import { type PreflightCode, preflightChecks, preflightCodes } from "./preflight-checks.ts";

const name = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, "should be lower case letters, digits and dashes")
  // As a label's value, which the service's name becomes on every object.
  .max(63, "should have at most 63 characters");

/** As manifests write it, without tag: `web`, or `registry.example.com/team/web`. */
const imageName = z
  .string()
  .regex(/^[a-z0-9]+(?:[._:/-]+[a-z0-9]+)*$/, "should be an image name as manifests write it, without a tag");

const imageSchema = z.union(
  [
    z.strictObject({
      context: z.string().describe("Folder with the Dockerfile, relative to the configuration file."),
      dockerfile: z
        .string()
        .optional()
        .describe("Path of the Dockerfile within the context. Default: Dockerfile."),
      args: z.record(z.string(), z.string()).optional().describe("Values for ARG instructions."),
      target: z.string().min(1).optional().describe("Stage to build. Default: the last one."),
      secrets: z
        .record(
          z.string().regex(/^[\w.-]+$/, "should be a name like npmrc"),
          z.union(
            [
              z.strictObject({ file: z.string().describe("A file, relative to the configuration file.") }),
              z.strictObject({ env: z.string().min(1).describe("A variable of the environment.") }),
            ],
            { error: "should be one of { file } or { env }" },
          ),
        )
        .optional()
        .describe(
          "What RUN --mount=type=secret,id=NAME may read; never part of an image or of the cache's key.",
        ),
      network: z
        .enum(["host", "none"])
        .optional()
        .describe("Network of RUN; an instruction's own --network comes first. Default: host."),
    }),
    z.strictObject({
      node: z
        .string()
        .describe(
          "Folder of a Node service with package.json and package-lock.json, relative to the configuration file; no Dockerfile is needed.",
        ),
      base: z
        .string()
        .min(1)
        .optional()
        .describe("Image with Node that it stands on. Default: slipway/node, for local environments only."),
      command: z
        .array(z.string())
        .min(1)
        .optional()
        .describe('How it starts, like ["node", "server.js"]. Default: start or main of package.json.'),
      env: z
        .record(z.string(), z.string())
        .optional()
        .describe("Variables of the image; NODE_ENV is production."),
    }),
    z.strictObject({
      ref: z.string().describe("An image that exists already, by reference; it is shipped by digest."),
    }),
    z.strictObject({
      archive: z.string().describe("A docker save archive or an OCI image layout (tar or folder)."),
    }),
    z.strictObject({
      command: z
        .union([z.string(), z.array(z.string()).min(1)])
        .describe(
          "A program that writes such an archive to $SLIPWAY_ARCHIVE; a string goes through /bin/sh -c.",
        ),
    }),
  ],
  { error: "should be one of { context }, { node }, { ref }, { archive } or { command }" },
);

const argv = z.array(z.string().min(1)).min(1);
const gateName = z.string().min(1).max(63).optional();

const gateSchema = z.union(
  [
    z.strictObject({
      name: gateName.describe("Name in logs and records. Default: the kind of gate."),
      http: z
        .strictObject({
          url: z.url({ protocol: /^https?$/ }).describe("Where to ask, by GET."),
          status: z.number().int().min(100).max(599).optional().describe("Status expected. Default: 200."),
          body: z.string().optional().describe("Text that the body must contain."),
          headers: z
            .record(z.string(), z.string())
            .optional()
            .describe(
              "Headers that must be there with these values; an empty value asks for the header alone.",
            ),
          attempts: z
            .number()
            .int()
            .min(1)
            .max(1000)
            .optional()
            .describe("Good answers in a row that are asked for. Default: 3."),
          interval: duration.optional().describe("Time between two questions. Default: 2s."),
        })
        .describe("An address that must answer well."),
      timeout: duration.optional().describe("Until then it must have passed. Default: 1m."),
    }),
    z.strictObject({
      name: gateName.describe("Name in logs and records."),
      errorRatio: z
        .strictObject({
          service: name
            .optional()
            .describe("Service behind the edge; of other clusters, the Deployment. Default: all of them."),
          maxIncrease: z
            .number()
            .min(0)
            .max(1)
            .optional()
            .describe("How much the ratio of 5xx may be above that of the release before. Default: 0.01."),
          minRequests: z
            .number()
            .int()
            .min(1)
            .optional()
            .describe("Requests to the new release below which nothing is concluded. Default: 100."),
          tooFew: z
            .enum(["fail", "pass"])
            .optional()
            .describe("What too little traffic means when the time is over. Default: fail."),
          p95: z
            .strictObject({
              maxIncrease: z
                .number()
                .min(0)
                .max(100)
                .optional()
                .describe("0.5: up to one and a half times that of the release before. Default: 0.5."),
              ignoreBelow: duration
                .optional()
                .describe("What is slower by less than this is no difference. Default: 20ms."),
            })
            .optional()
            .describe("Compare the 95th percentile of the response time, too. Default: only errors."),
        })
        .describe("Requests as the edge or the collectors count them, new release against the one before."),
      timeout: duration.optional().describe("How long it waits for enough traffic. Default: 5m."),
    }),
    z.strictObject({
      name: gateName.describe("Name in logs and records."),
      prometheus: z
        .strictObject({
          url: z.url({ protocol: /^https?$/ }).describe("Address of Prometheus, before /api/v1/query."),
          query: z.string().min(1).describe("PromQL; every sample of its answer must hold."),
          expect: z
            .string()
            .regex(/^\s*(<=|>=|==|!=|<|>)\s*-?\d+(\.\d+)?(e-?\d+)?\s*$/i, 'should be like "< 0.01"')
            .describe('What must hold: "< 0.01", ">= 3".'),
          tokenFrom: z
            .string()
            .optional()
            .describe("Environment variable with a bearer token. Default: PROMETHEUS_TOKEN, when set."),
          noData: z
            .enum(["fail", "pass"])
            .optional()
            .describe("What an answer without a sample means. Default: fail."),
        })
        .describe("A query that must hold."),
      timeout: duration.optional().describe("Until then it must have held. Default: 1m."),
    }),
    z.strictObject({
      name: gateName.describe("Name in logs and records."),
      command: argv.describe(
        "A program and its arguments; exit code 0 passes. SLIPWAY_RELEASE, SLIPWAY_WAVE and SLIPWAY_CLUSTERS are set.",
      ),
      timeout: duration.optional().describe("It is ended then. Default: 5m."),
    }),
    z.strictObject({
      name: gateName.describe("Name in logs and records."),
      approval: z
        .strictObject({})
        .describe("A person says yes, with `slipway release approve`, from any machine."),
      timeout: duration.optional().describe("Until then somebody must have answered. Default: 1h."),
    }),
  ],
  { error: "should be one of { http }, { errorRatio }, { prometheus }, { command } or { approval }" },
);

const hookSchema = z.union(
  [
    z.strictObject({
      job: z.string().describe("File with a Job, which gets the release's images like any manifest."),
      in: z
        .enum(["first-cluster", "each"])
        .optional()
        .describe("Where it runs. Default: first-cluster, the first of the first wave."),
      keep: z
        .number()
        .int()
        .min(0)
        .max(100)
        .optional()
        .describe("Finished Jobs of this hook that stay in a cluster. Default: 3."),
      name: gateName.describe("Name in logs and records. Default: the Job's file."),
      timeout: duration.optional().describe("It must have succeeded by then. Default: 10m."),
      onRollback: z.boolean().optional().describe("Also runs for `slipway rollback`. Default: false."),
    }),
    z.strictObject({
      command: argv.describe("A program and its arguments, run on this machine; exit code 0 is a success."),
      name: gateName.describe("Name in logs and records. Default: the program."),
      timeout: duration.optional().describe("It is ended then. Default: 10m."),
      onRollback: z.boolean().optional().describe("Also runs for `slipway rollback`. Default: false."),
    }),
  ],
  { error: "should be one of { job } or { command }" },
);

const clustersOfWave = z.array(name).min(1);

const releaseSchema = z.strictObject({
  waves: z
    .array(
      z.union(
        [
          clustersOfWave,
          z.strictObject({
            clusters: clustersOfWave.describe("Clusters of the wave."),
            bake: duration.optional().describe("Bake time of this wave. Default: that of the release."),
            maxParallel: z
              .number()
              .int()
              .min(1)
              .optional()
              .describe("Clusters of the wave that are on their way at a time. Default: all."),
            gates: z
              .array(gateSchema)
              .optional()
              .describe("Gates of this wave, in place of those of the release."),
          }),
        ],
        { error: 'should be a list of clusters like ["tokyo"] or { clusters, bake, maxParallel, gates }' },
      ),
    )
    .optional()
    .describe(
      "Sets of clusters in the order they are deployed: lists, or { clusters, bake, maxParallel, gates }. Default: each cluster is a wave, in the order listed.",
    ),
  bake: duration
    .optional()
    .describe("How long a wave must stay healthy before the next begins. Default: 60s."),
  gates: z
    .array(gateSchema)
    .optional()
    .describe("What must hold after the bake of a wave before the next begins, asked in this order."),
  hooks: z
    .strictObject({
      before: z.array(hookSchema).optional().describe("Before the first cluster is changed: migrations."),
      after: z.array(hookSchema).optional().describe("After the last wave is healthy."),
    })
    .optional()
    .describe("Jobs and commands around a release."),
  onFailure: z
    .enum(["rollback-all", "rollback-wave", "halt"])
    .optional()
    .describe("What happens to the waves already deployed when one fails. Default: rollback-all."),
  unreachable: z
    .enum(["fail", "skip", "requeue"])
    .optional()
    .describe(
      "A cluster that does not answer: stops the release (fail), is left behind (skip), or is tried again after the other waves (requeue). Default: fail.",
    ),
  unreachableAfter: duration
    .optional()
    .describe(
      "A cluster that has not answered for this long counts as unreachable; its verdict is unknown. Default: 60s.",
    ),
  requeueFor: duration
    .optional()
    .describe("How long requeued clusters are tried after the other waves. Default: 10m."),
  keep: z.number().int().min(2).max(100).optional().describe("Releases kept in the clusters. Default: 20."),
});

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
    .describe("host/prefix to push to. Default: the embedded registry, for local clusters only."),
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
