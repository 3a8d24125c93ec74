/**
 * Who we are to a registry: what `docker login` left behind. Docker's config.json holds either a base64 pair per
 * registry or the name of a helper program (`docker-credential-NAME get`, JSON on its standard output).
 */
import { join } from "node:path";
import { exec, readTextIfExists, SlipwayError } from "@slipway/base";
import { DEFAULT_REGISTRY } from "../reference.ts";

export type Credentials =
  | { readonly kind: "basic"; readonly username: string; readonly password: string }
  /** A refresh token, exchanged at the registry's token service. */
  | { readonly kind: "identity"; readonly token: string };

export type FindCredentials = (registry: string) => Promise<Credentials | undefined>;

interface DockerAuth {
  /** base64 of `name:password`. */
  readonly auth?: string;
  readonly identitytoken?: string;
  readonly username?: string;
  readonly password?: string;
}

interface DockerConfig {
  readonly auths?: Readonly<Record<string, DockerAuth>>;
  readonly credHelpers?: Readonly<Record<string, string>>;
  readonly credsStore?: string;
}

export const noCredentials: FindCredentials = () => Promise.resolve(undefined);

/** Reads `$DOCKER_CONFIG/config.json` (default `$HOME/.docker/config.json`) when first asked. */
export function dockerCredentials(env: NodeJS.ProcessEnv): FindCredentials {
  const folder = env["DOCKER_CONFIG"] ?? join(env["HOME"] ?? "/", ".docker");
  const path = join(folder, "config.json");
  let config: Promise<DockerConfig> | undefined;
  return async (registry) => {
    config ??= readConfig(path);
    const found = await config;
    for (const name of namesOf(registry)) {
      const helper = found.credHelpers?.[name];
      if (helper !== undefined) return fromHelper(helper, name, env);
    }
    for (const name of namesOf(registry)) {
      const entry = found.auths?.[name];
      if (entry?.identitytoken) return { kind: "identity", token: entry.identitytoken };
      if (entry?.auth) return decode(entry.auth);
      if (entry?.username !== undefined && entry.password !== undefined)
        return { kind: "basic", username: entry.username, password: entry.password };
    }
    if (found.credsStore === undefined) return undefined;
    for (const name of namesOf(registry)) {
      const credentials = await fromHelper(found.credsStore, name, env);
      if (credentials !== undefined) return credentials;
    }
    return undefined;
  };
}

/** The keys under which docker login files a registry; Docker Hub's is historical. */
function namesOf(registry: string): readonly string[] {
  if (registry !== DEFAULT_REGISTRY) return [registry, `https://${registry}`, `https://${registry}/v1/`];
  return [`https://index.${DEFAULT_REGISTRY}/v1/`, DEFAULT_REGISTRY];
}

async function readConfig(path: string): Promise<DockerConfig> {
  const text = await readTextIfExists(path);
  if (text === undefined) return {};
  try {
    return JSON.parse(text) as DockerConfig;
  } catch (cause) {
    throw new SlipwayError({
      code: "REGISTRY_CREDENTIALS_INVALID",
      where: path,
      message: "is not JSON",
      hint: "Repair the file, or run docker login again.",
      cause,
      exitCode: 3,
    });
  }
}

function decode(auth: string): Credentials {
  const pair = Buffer.from(auth, "base64").toString("utf8");
  const colon = pair.indexOf(":");
  return { kind: "basic", username: pair.slice(0, colon), password: pair.slice(colon + 1) };
}

/** What the helper printed is a secret: an error shows none of it. */
function parseAnswer(text: string, program: string): { readonly Username: string; readonly Secret: string } {
  try {
    const { Username, Secret } = JSON.parse(text) as { Username?: unknown; Secret?: unknown };
    if (typeof Username === "string" && typeof Secret === "string") return { Username, Secret };
  } catch {
    // Said below.
  }
  throw new SlipwayError({
    code: "REGISTRY_CREDENTIALS_FAILED",
    where: program,
    message: "answered without Username and Secret",
    hint: "Log in to the registry again.",
    exitCode: 3,
  });
}

async function fromHelper(
  helper: string,
  registry: string,
  env: NodeJS.ProcessEnv,
): Promise<Credentials | undefined> {
  const program = `docker-credential-${helper}`;
  const result = await exec([program, "get"], { input: registry, env }).catch((cause: unknown) => {
    throw new SlipwayError({
      code: "REGISTRY_CREDENTIALS_FAILED",
      where: program,
      message: `cannot be started, but config.json says to ask it for ${registry}`,
      hint: "Install it, or take its name out of credHelpers and credsStore of Docker's config.json.",
      cause,
      exitCode: 3,
    });
  });
  if (result.exitCode !== 0) {
    if (/credentials not found/i.test(result.stdout)) return undefined; // the helpers' protocol, not prose
    throw new SlipwayError({
      code: "REGISTRY_CREDENTIALS_FAILED",
      where: program,
      message: `exited ${result.exitCode} when asked for ${registry}: ${result.stderr.trim().slice(-300)}`,
      hint: "Log in to the registry again.",
      exitCode: 3,
    });
  }
  const answer = parseAnswer(result.stdout, program);
  return answer.Username === "<token>"
    ? { kind: "identity", token: answer.Secret }
    : { kind: "basic", username: answer.Username, password: answer.Secret };
}
