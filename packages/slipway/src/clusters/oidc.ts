/**
 * `auth-provider: oidc` of a kubeconfig: an OpenID Connect token that is renewed with its refresh token when it ends
 * (OpenID Connect Discovery 1.0, RFC 6749 section 6), and written back as kubectl does.
 *
 * Our own, because `@kubernetes/client-node` 2.0.1 cannot renew one: it hands openid-client 6 a string where that takes
 * a URL and an object where it takes a Response, and never the client's secret.
 */
import { readFile } from "node:fs/promises";
import { SlipwayError, writeAtomic } from "@slipway/base";
import { Agent, fetch, ProxyAgent } from "undici";
import { parseDocument } from "yaml";
import type { LoadedCredentials, PluginOptions } from "./exec-plugin.ts";
import { type ContextFacts, dataOrFile } from "./kubeconfig.ts";
import { proxyFor } from "./proxy.ts";

type Config = Readonly<Record<string, string>>;

/** What was renewed since the kubeconfig was read, by its user. */
const renewed = new WeakMap<object, Config>();
const TIMEOUT_MS = 30_000;
const EARLY_MS = 10_000;

/** Rejects with CREDENTIALS_PROVIDER when the token has ended and cannot be renewed. */
export async function oidcCredentials(
  { user }: ContextFacts,
  { where, env, clock }: PluginOptions,
): Promise<LoadedCredentials> {
  const fail = (message: string, cause?: unknown): SlipwayError =>
    new SlipwayError({
      code: "CREDENTIALS_PROVIDER",
      where,
      message,
      hint: "Log in again, or use a credential plugin (kubelogin) in its place.",
      exitCode: 3,
      cause,
    });
  const config = renewed.get(user) ?? user["auth-provider"]?.config ?? {};
  const known = credentialsOf(config["id-token"]);
  if (known !== undefined && (known.expiresAt ?? 0) - EARLY_MS > clock.now()) return known;
  const issuer = config["idp-issuer-url"];
  if (!issuer || !config["client-id"] || !config["refresh-token"]) {
    throw fail(`the token of ${user.name} has ended, and the kubeconfig has nothing to renew it with`);
  }
  let tokens: Config;
  try {
    const ca = dataOrFile(
      user,
      config["idp-certificate-authority-data"],
      config["idp-certificate-authority"],
    );
    tokens = await refresh(issuer, config, ca, proxyFor(issuer, undefined, env));
  } catch (error) {
    const { message, cause } = error as Error;
    const why = cause instanceof Error ? `${message} (${cause.message})` : message;
    throw fail(`${issuer} does not renew the token of ${user.name}: ${why}`, error);
  }
  const fresh = credentialsOf(tokens["id-token"]);
  if (fresh === undefined) throw fail(`${issuer} renewed the token of ${user.name} without an id_token`);
  renewed.set(user, { ...config, ...tokens });
  await keepTokens(user.file, user.name, tokens);
  return fresh;
}

async function refresh(
  issuer: string,
  config: Config,
  ca: string | undefined,
  proxyUrl: string | undefined,
): Promise<Config> {
  const tls = ca === undefined ? {} : { ca };
  const dispatcher =
    proxyUrl === undefined ? new Agent({ connect: tls }) : new ProxyAgent({ uri: proxyUrl, requestTls: tls });
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const discovery = `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
    const found = await fetch(discovery, { dispatcher, signal });
    const { token_endpoint: endpoint } = (await found.json()) as { token_endpoint?: string };
    if (endpoint === undefined) throw new Error(`${discovery} names no token_endpoint`);
    const { "client-id": id = "", "client-secret": secret = "" } = config;
    const form = { grant_type: "refresh_token", refresh_token: config["refresh-token"] ?? "", client_id: id };
    const basic = Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString("base64");
    const answer = await fetch(endpoint, {
      method: "POST",
      dispatcher,
      signal,
      body: new URLSearchParams(form),
      ...(secret === "" ? {} : { headers: { authorization: `Basic ${basic}` } }),
    });
    const tokens = (await answer.json()) as Record<string, string | undefined>;
    if (!answer.ok) {
      throw new Error(
        [tokens["error"] ?? `HTTP ${answer.status}`, tokens["error_description"]].filter(Boolean).join(": "),
      );
    }
    const { id_token, refresh_token } = tokens;
    return {
      ...(id_token === undefined ? {} : { "id-token": id_token }),
      ...(refresh_token === undefined ? {} : { "refresh-token": refresh_token }),
    };
  } finally {
    await dispatcher.close();
  }
}

/** A JSON web token says itself when it ends. Only the API server needs to trust it, so only it checks it. */
function credentialsOf(token: string | undefined): LoadedCredentials | undefined {
  if (token === undefined || token === "") return undefined;
  let exp: number | undefined;
  try {
    ({ exp } = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as {
      exp?: number;
    });
  } catch {
    return undefined;
  }
  return {
    credentials: { headers: { authorization: `Bearer ${token}` } },
    expiresAt: exp === undefined ? undefined : exp * 1000,
  };
}

/**
 * Many providers accept a refresh token only once: keeping the old one would log the person out of their own kubectl.
 * Comments and order of the file stay.
 */
async function keepTokens(file: string, user: string, tokens: Config): Promise<void> {
  const document = parseDocument(await readFile(file, "utf8"));
  const users = (document.toJS() as { users?: { name?: string }[] }).users ?? [];
  const index = users.findIndex(({ name }) => name === user);
  if (index < 0) return;
  for (const [key, value] of Object.entries(tokens)) {
    document.setIn(["users", index, "user", "auth-provider", "config", key], value);
  }
  await writeAtomic(file, document.toString(), 0o600);
}
