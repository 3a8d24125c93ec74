/** The section `release`: waves, their gates, hooks around all of it. Resolved in `release.ts`. */
import * as z from "zod";
import { duration } from "./duration.ts";
import { name } from "./names.ts";

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

export const releaseSchema = z.strictObject({
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
