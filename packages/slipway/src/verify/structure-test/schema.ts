/**
 * The fields of container-structure-test's schema 2.0.0 that are carried out. One that is not is an error that names it:
 * a check that is skipped looks like one that passed.
 */
import * as z from "zod";

const words = z.array(z.string());
const commandLines = z.array(words.min(1));
const variable = z.strictObject({
  key: z.string().min(1),
  value: z.union([z.string(), z.number(), z.boolean()]).transform(String),
});
const matchedVariable = z.strictObject({ ...variable.shape, isRegex: z.boolean().optional() });
const port = z.union([z.string(), z.number()]).transform(String);

const commandTest = z.strictObject({
  name: z.string().min(1),
  setup: commandLines.optional(),
  teardown: commandLines.optional(),
  command: z.string().min(1),
  args: words.optional(),
  envVars: z.array(variable).optional(),
  expectedOutput: words.optional(),
  excludedOutput: words.optional(),
  expectedError: words.optional(),
  excludedError: words.optional(),
  exitCode: z.int().optional(),
});

const fileExistenceTest = z.strictObject({
  name: z.string().min(1),
  path: z.string().min(1),
  shouldExist: z.boolean().optional(),
  /** As Go writes a mode: `-rw-r--r--`. */
  permissions: z.string().optional(),
  uid: z.int().optional(),
  gid: z.int().optional(),
  isExecutableBy: z.enum(["owner", "group", "other", "any"]).optional(),
});

const fileContentTest = z.strictObject({
  name: z.string().min(1),
  path: z.string().min(1),
  expectedContents: words.optional(),
  excludedContents: words.optional(),
});

const metadataTest = z.strictObject({
  envVars: z.array(matchedVariable).optional(),
  labels: z.array(matchedVariable).optional(),
  unboundEnvVars: z
    .array(z.strictObject({ key: z.string().min(1), value: z.unknown().optional() }))
    .optional(),
  entrypoint: words.optional(),
  cmd: words.optional(),
  exposedPorts: z.array(port).optional(),
  unexposedPorts: z.array(port).optional(),
  volumes: words.optional(),
  unmountedVolumes: words.optional(),
  workdir: z.string().optional(),
  user: z.string().optional(),
});

export const schema = z.strictObject({
  schemaVersion: z.literal("2.0.0"),
  globalEnvVars: z.array(variable).optional(),
  commandTests: z.array(commandTest).optional(),
  fileExistenceTests: z.array(fileExistenceTest).optional(),
  fileContentTests: z.array(fileContentTest).optional(),
  metadataTest: metadataTest.optional(),
  /** `envVars` are names of variables of this process that are handed on. */
  containerRunOptions: z.strictObject({ user: z.string().optional(), envVars: words.optional() }).optional(),
});

export type StructureTest = z.infer<typeof schema>;

/** Fields that the format has and Slipway has not: told with a reason, so that nobody looks for a typing error. */
export const UNSUPPORTED: Readonly<Record<string, string>> = {
  licenseTests: "licences are not read; the packages that an image may have are checked with t.package",
  privileged: "no check runs with more rights than the image asks for",
  allocateTty: "commands run without a terminal",
  envFile: "name the variables in containerRunOptions.envVars or globalEnvVars",
  capabilities: "no check runs with more rights than the image asks for",
  bindMounts: "an image is checked as it is, without files of this machine",
};
