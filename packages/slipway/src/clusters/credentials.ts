/**
 * The credentials of a kubeconfig's user, as a source that a client asks before every request: loaded when first
 * needed, remembered while they are good, loaded again when they run out or the server refuses them. However many
 * requests wait, they are loaded once.
 */
import { isDeepStrictEqual } from "node:util";
import type { Clock } from "@slipway/base";
import type { CredentialSource, Credentials } from "@slipway/kube";
import { retiredProviderCredentials } from "./client-node.ts";
import { type LoadedCredentials, type PluginOptions, runPlugin } from "./exec-plugin.ts";
import { type ContextFacts, dataOrFile, readBeside, type UserEntry } from "./kubeconfig.ts";

/** Tokens are renewed this long before they end, so that none runs out on its way. */
const EARLY_MS = 10_000;
/** Files may be rewritten at any time: a mounted ServiceAccount token, a renewed certificate. As client-go does. */
const FILES_GOOD_FOR_MS = 60_000;

export function credentialsOf(facts: ContextFacts, options: PluginOptions): CredentialSource {
  return remember(() => load(facts, options), options.clock);
}

async function load(facts: ContextFacts, options: PluginOptions): Promise<LoadedCredentials> {
  const { user } = facts;
  const own = certificateOf(facts);
  const loaded = await loadSecret(facts, options);
  const headers = { ...loaded.credentials.headers, ...impersonation(user) };
  return {
    credentials: {
      ...own,
      ...loaded.credentials,
      ...(Object.keys(headers).length === 0 ? {} : { headers }),
    },
    expiresAt: loaded.expiresAt,
  };
}

/** In client-go's order: a plugin, else a provider, else the token (a file before a value), else a password. */
async function loadSecret(facts: ContextFacts, options: PluginOptions): Promise<LoadedCredentials> {
  const { user } = facts;
  if (user.exec) return runPlugin(facts, user.exec, options);
  if (user["auth-provider"]?.name === "oidc") {
    const { oidcCredentials } = await import("./oidc.ts");
    return oidcCredentials(facts, options);
  }
  if (user["auth-provider"]) return retiredProviderCredentials(facts, options.where, options.clock.now());
  const bearer = (token: string): Credentials => ({ headers: { authorization: `Bearer ${token}` } });
  const untilReread = options.clock.now() + FILES_GOOD_FOR_MS + EARLY_MS;
  if (user.tokenFile) {
    return { credentials: bearer(readBeside(user, user.tokenFile).trim()), expiresAt: untilReread };
  }
  const expiresAt = user["client-certificate"] ? untilReread : undefined;
  if (user.token) return { credentials: bearer(user.token), expiresAt };
  if (user.username !== undefined && user.username !== "") {
    const pair = Buffer.from(`${user.username}:${user.password ?? ""}`).toString("base64");
    return { credentials: { headers: { authorization: `Basic ${pair}` } }, expiresAt };
  }
  return { credentials: {}, expiresAt };
}

function certificateOf({ user }: ContextFacts): Credentials {
  const clientCertificate = dataOrFile(user, user["client-certificate-data"], user["client-certificate"]);
  const clientKey = dataOrFile(user, user["client-key-data"], user["client-key"]);
  return clientCertificate === undefined || clientKey === undefined ? {} : { clientCertificate, clientKey };
}

function impersonation(user: UserEntry): Record<string, string | readonly string[]> {
  return {
    ...(user.as === undefined ? {} : { "impersonate-user": user.as }),
    ...(user["as-uid"] === undefined ? {} : { "impersonate-uid": user["as-uid"] }),
    ...(user["as-groups"] === undefined ? {} : { "impersonate-group": user["as-groups"] }),
    ...Object.fromEntries(
      Object.entries(user["as-user-extra"] ?? {}).map(([key, values]) => [
        `impersonate-extra-${key}`,
        values,
      ]),
    ),
  };
}

export function remember(read: () => Promise<LoadedCredentials>, clock: Clock): CredentialSource {
  let known: LoadedCredentials | undefined;
  let loading: Promise<LoadedCredentials> | undefined;
  const renew = (): Promise<LoadedCredentials> => {
    loading ??= read()
      .then((loaded) => {
        known = loaded;
        return loaded;
      })
      .finally(() => {
        loading = undefined;
      });
    return loading;
  };
  const isGood = ({ expiresAt }: LoadedCredentials): boolean =>
    expiresAt === undefined || clock.now() < expiresAt - EARLY_MS;
  return {
    current: async () => (known !== undefined && isGood(known) ? known : await renew()).credentials,
    refused: async (used) => {
      // Another request was refused before and has brought new ones.
      if (known !== undefined && known.credentials !== used) return true;
      return !isDeepStrictEqual((await renew()).credentials, used);
    },
  };
}
