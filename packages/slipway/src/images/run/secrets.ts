/** The secrets that a build may show to commands: files and variables of this machine, named in the configuration. */
import { readFile } from "node:fs/promises";
import { SlipwayError } from "@slipway/base";
import type { BuildSecret } from "../../config/types.ts";

/** Rejects with BUILD_SECRET_MISSING. */
export async function readSecrets(
  secrets: Readonly<Record<string, BuildSecret>>,
  where: string,
  env: NodeJS.ProcessEnv,
): Promise<Readonly<Record<string, Uint8Array>>> {
  const entries = Object.entries(secrets).map(async ([id, secret]) => {
    const value =
      "env" in secret
        ? env[secret.env]
        : await readFile(secret.file).catch((error: unknown) => error as Error);
    if (value !== undefined && !(value instanceof Error)) return [id, Buffer.from(value)] as const;
    throw new SlipwayError({
      code: "BUILD_SECRET_MISSING",
      where: `${where}/${id}`,
      message:
        "env" in secret
          ? `the variable ${secret.env} is not set`
          : `cannot read ${secret.file}: ${value?.message}`,
      hint: "Set it for this build, or take the secret out of the configuration.",
      exitCode: 3,
    });
  });
  return Object.fromEntries(await Promise.all(entries));
}
