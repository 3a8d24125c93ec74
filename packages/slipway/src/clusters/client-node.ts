/**
 * What `@kubernetes/client-node` does for us: the retired auth-providers gcp and azure, and connections through SOCKS. It
 * is loaded when one of these is asked for and never else: loading it takes about a second, because all of
 * Kubernetes' API models come along. See ADR 9.
 */
import type { Agent } from "node:http";
import type { RequestOptions } from "node:https";
import { SlipwayError } from "@slipway/base";
import type { LoadedCredentials } from "./exec-plugin.ts";
import type { ContextFacts } from "./kubeconfig.ts";

/** These keep a token in the kubeconfig and its end in `expiry` or `expires-on`; asked again after this long. */
const GOOD_FOR_MS = 60_000;

export async function retiredProviderCredentials(
  { user }: ContextFacts,
  where: string,
  now: number,
): Promise<LoadedCredentials> {
  const provider = user["auth-provider"];
  const fail = (message: string, cause?: unknown): SlipwayError =>
    new SlipwayError({
      code: "CREDENTIALS_PROVIDER",
      where,
      message,
      hint: "Use a credential plugin in its place: gke-gcloud-auth-plugin, kubelogin.",
      exitCode: 3,
      cause,
    });
  if (provider?.name !== "gcp" && provider?.name !== "azure") {
    throw fail(`auth-provider "${provider?.name ?? ""}" is not known; known: oidc, gcp, azure`);
  }
  try {
    const options = await optionsFrom({ authProvider: { ...provider, config: { ...provider.config } } }, {});
    const authorization = (options.headers as Record<string, string>)["Authorization"];
    if (authorization === undefined) throw new Error("there is none");
    return { credentials: { headers: { authorization } }, expiresAt: now + GOOD_FOR_MS };
  } catch (error) {
    throw fail(`auth-provider ${provider.name} gives no token: ${(error as Error).message}`, error);
  }
}

/** An agent that connects through `socks5://host:port`. */
export async function socksAgent(server: string, proxyUrl: string): Promise<Agent> {
  const { agent } = (await optionsFrom({}, { server, proxyUrl })) as {
    agent: Agent & { options: Record<string, unknown> };
  };
  // What client-node sets to undefined here would hide the authority and the certificate of a request.
  for (const [key, value] of Object.entries(agent.options))
    if (value === undefined) delete agent.options[key];
  return agent;
}

async function optionsFrom(user: object, cluster: object): Promise<RequestOptions> {
  const { KubeConfig } = await import("@kubernetes/client-node");
  const kubeconfig = new KubeConfig();
  kubeconfig.loadFromOptions({
    clusters: [{ name: "it", server: "https://unused", skipTLSVerify: false, ...cluster }],
    users: [{ name: "it", ...user }],
    contexts: [{ name: "it", cluster: "it", user: "it" }],
    currentContext: "it",
  });
  const options: RequestOptions = { headers: {} };
  await kubeconfig.applyToHTTPSOptions(options);
  return options;
}
