/** Where an image comes from: one of five, told apart by its first key. */
import * as z from "zod";

export const imageSchema = z.union(
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
