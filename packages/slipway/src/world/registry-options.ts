/** From the configuration of the local registry to what it is started with. Pure. */
import { SlipwayError } from "@slipway/base";
import type { LocalRegistryConfig } from "../config/local-registry.ts";
import type { UpstreamClient } from "../images/registry/pull-through.ts";
import type { RegistryOptions } from "../images/registry/registry.ts";

/** Rejects with REGISTRY_PASSWORD_MISSING when a variable that holds a password is not set. */
export function registryOptionsOf(
  config: LocalRegistryConfig,
  directory: string,
  client: UpstreamClient,
  env: NodeJS.ProcessEnv,
): Omit<RegistryOptions, "port"> {
  const users = config.users.map(({ name, passwordFrom, right }) => {
    const password = env[passwordFrom];
    if (password !== undefined && password !== "") return { name, password, right };
    throw new SlipwayError({
      code: "REGISTRY_PASSWORD_MISSING",
      where: `local/registry/users/${name}/passwordFrom`,
      message: `the variable ${passwordFrom} is not set`,
      hint: `Set it for \`slipway local up\` and for whatever pushes.`,
      exitCode: 2,
    });
  });
  return {
    directory,
    hasImmutableTags: config.immutableTags,
    ...(users.length === 0
      ? {}
      : { access: { scheme: config.login, users, anonymousRead: config.anonymousRead } }),
    ...(Object.keys(config.upstreams).length === 0 ? {} : { upstreams: { hosts: config.upstreams, client } }),
  };
}
