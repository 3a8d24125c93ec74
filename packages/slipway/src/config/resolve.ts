/**
 * From the configuration as written to the one resolved value that every part reads, with the source of each field:
 * the file, an override of the environment, a variable, or the default.
 */
import { resolve } from "node:path";
import { parseDuration, SlipwayError } from "@slipway/base";
import { localRegistryOf } from "./local-registry.ts";
import { observeOf } from "./observe.ts";
import { LOCAL_SEVERITIES, type PreflightSeverities } from "./preflight-checks.ts";
import { clustersOf, gatesOf, hooksOf, ratioGateOf, waveOf } from "./release.ts";
import type { ParsedConfig } from "./schema.ts";
import type {
  BuildSecret,
  ClusterConfig,
  Config,
  EdgeConfig,
  ImageSourceConfig,
  ManifestSource,
  ReleaseConfig,
  SlackConfig,
} from "./types.ts";

export interface Resolved {
  readonly config: Config;
  /** Name of the configuration file, for messages. */
  readonly file: string;
  /** Dotted path of a field → where its value comes from. */
  readonly sources: ReadonlyMap<string, string>;
}

export interface ResolveInput {
  readonly root: string;
  readonly file: string;
  readonly environment: string;
  readonly env: NodeJS.ProcessEnv;
}

type ParsedLocalRegistry = NonNullable<ParsedConfig["local"]>["registry"] | undefined;

const DEFAULT_EDGE_PORT = 8080;

export function resolveConfig(
  parsed: ParsedConfig,
  { root, file, environment, env }: ResolveInput,
): Resolved {
  const chosen = parsed.environments[environment] as NonNullable<ParsedConfig["environments"][string]>;
  const sources = new Map<string, string>();
  const at = (path: string): string => resolve(root, path);
  const pick = <T>(
    path: string,
    candidates: readonly (readonly [value: T | undefined, source: string])[],
    fallback: T,
  ): T => {
    const found = candidates.find(([value]) => value !== undefined);
    sources.set(path, found?.[1] ?? "default");
    return found?.[0] ?? fallback;
  };
  const own = <T>(path: string, value: T | undefined, fallback: T, source = file): T =>
    pick(path, [[value, source]], fallback);
  const inEnvironment = `${file} (environments.${environment})`;

  const clusters = Object.entries(chosen.clusters).map(
    ([name, value]): ClusterConfig => (value.kind === "local" ? { kind: "local", name } : { ...value, name }),
  );
  sources.set("clusters", inEnvironment);
  const isLocal = clusters.every(({ kind }) => kind === "local");
  if (!isLocal && clusters.some(({ kind }) => kind === "local")) {
    throw new SlipwayError({
      code: "CONFIG_MIXED_CLUSTERS",
      where: `${file}/environments/${environment}/clusters`,
      message: "mixes local() with context()",
      hint: "Give local clusters an environment of their own.",
      exitCode: 2,
    });
  }
  const hasImages = Object.keys(parsed.images ?? {}).length > 0;
  if (!isLocal && hasImages && chosen.registry === undefined) {
    throw new SlipwayError({
      code: "CONFIG_NO_REGISTRY",
      where: `${file}/environments/${environment}/registry`,
      message: "is missing; clusters that are not local cannot pull from the embedded registry",
      hint: 'Name one that the clusters can pull from, like registry: "europe-docker.pkg.dev/project/images".',
      exitCode: 2,
    });
  }

  const override = chosen.release ?? {};
  const base = parsed.release ?? {};
  const releaseField = <K extends keyof typeof base>(
    key: K,
    fallback: NonNullable<(typeof base)[K]>,
  ): NonNullable<(typeof base)[K]> =>
    pick(
      `release.${key}`,
      [
        [override[key], `${inEnvironment}.release`],
        [base[key], file],
      ],
      fallback,
    ) as NonNullable<(typeof base)[K]>;
  const names = clusters.map(({ name }) => name);
  // Waves of the top level may name clusters of every environment: only those of this one count.
  const declared = releaseField(
    "waves",
    names.map((name) => [name]),
  ).map((wave) => ({ clusters: [...clustersOf(wave)], settings: waveOf(wave) }));
  const kept =
    override.waves === undefined
      ? declared
          .map(({ clusters: all, settings }) => ({
            clusters: all.filter((name) => names.includes(name)),
            settings,
          }))
          .filter((wave) => wave.clusters.length > 0)
      : declared;
  const waves = kept.map((wave) => wave.clusters);
  checkWaves(
    waves,
    names,
    declared.map((wave) => wave.clusters),
    parsed,
    file,
    environment,
  );
  const release: ReleaseConfig = {
    waves,
    waveSettings: kept.map(({ settings }) => settings),
    bakeMs: parseDuration(releaseField("bake", "60s")),
    gates: gatesOf(releaseField("gates", [])),
    hooks: hooksOf(releaseField("hooks", {}), at),
    onFailure: releaseField("onFailure", "rollback-all"),
    unreachable: releaseField("unreachable", "fail"),
    unreachableAfterMs: parseDuration(releaseField("unreachableAfter", "60s")),
    requeueForMs: parseDuration(releaseField("requeueFor", "10m")),
    keep: releaseField("keep", 20),
  };

  const config: Config = {
    name: own("name", parsed.name, ""),
    root,
    environment,
    isLocal,
    namespace: own("namespace", chosen.namespace, "default", inEnvironment),
    images: Object.entries(own("images", parsed.images, {})).map(([name, image]) =>
      imageSource(name, image, at),
    ),
    manifests: pick(
      "manifests",
      [
        [chosen.manifests, inEnvironment],
        [parsed.manifests, file],
      ],
      [],
    ).map((source) => manifestSource(source, at)),
    patches: own("patches", chosen.patches, [], inEnvironment).map(at),
    clusters,
    registry: own("registry", chosen.registry, undefined as unknown as string, inEnvironment),
    bases: own("bases", chosen.bases, {}, inEnvironment),
    allowHostBases: own("allowHostBases", chosen.allowHostBases, [], inEnvironment),
    platforms: own("platforms", chosen.platforms, undefined as unknown as readonly string[], inEnvironment),
    release,
    preflight: preflightOf(parsed, chosen, { sources, file, inEnvironment, isLocal }),
    edge: edgeOf(parsed, own, at, chosen.namespace ?? "default"),
    verify: own("verify", parsed.verify, []).map(at),
    notify: { slack: slackOf(parsed, env, sources) },
    egress: own("local.egress", parsed.local?.egress, {}),
    localRegistry: localRegistryOf(
      pick("local.registry", [[parsed.local?.registry, file]], undefined as ParsedLocalRegistry),
    ),
    observe: observeOf(pick("observe", [[parsed.observe, file]], undefined as typeof parsed.observe)),
  };
  if (!isLocal && config.observe === undefined) refuseUncounted(release, file);
  return { config, file, sources };
}

/** The edge counts requests to local clusters; to others, collectors do, and where nothing is observed, nobody. */
function refuseUncounted(release: ReleaseConfig, file: string): void {
  const found = ratioGateOf(release);
  if (found === undefined) return;
  throw new SlipwayError({
    code: "CONFIG_GATE_NO_EDGE",
    where: `${file}/release/gates`,
    message: `gate ${found.name} compares requests, and observe is false: nobody counts those to these clusters`,
    hint: "Take `observe: false` out, then `slipway observe install`; or ask a { prometheus } gate.",
    exitCode: 2,
  });
}

function checkWaves(
  waves: readonly (readonly string[])[],
  names: readonly string[],
  declared: readonly (readonly string[])[],
  parsed: ParsedConfig,
  file: string,
  environment: string,
): void {
  const fail = (message: string, hint: string): never => {
    throw new SlipwayError({
      code: "CONFIG_WAVES",
      where: `${file}/release/waves`,
      message,
      hint,
      exitCode: 2,
    });
  };
  const everywhere = new Set(
    Object.values(parsed.environments).flatMap(({ clusters }) => Object.keys(clusters)),
  );
  const stranger = declared.flat().find((name) => !everywhere.has(name));
  if (stranger !== undefined)
    fail(`no environment has a cluster "${stranger}"`, `Known: ${[...everywhere].join(", ")}.`);
  const flat = waves.flat();
  const twice = flat.find((name, index) => flat.indexOf(name) !== index);
  if (twice !== undefined)
    fail(`cluster "${twice}" stands in the waves twice`, "A cluster belongs to exactly one wave.");
  const missing = names.find((name) => !flat.includes(name));
  if (missing !== undefined) {
    fail(
      `cluster "${missing}" of environment ${environment} stands in no wave`,
      "Add it, or leave waves out: then every cluster is a wave of its own.",
    );
  }
}

/** Code by code: what the environment says, else what the file says. */
function preflightOf(
  parsed: ParsedConfig,
  chosen: NonNullable<ParsedConfig["environments"][string]>,
  from: {
    readonly sources: Map<string, string>;
    readonly file: string;
    readonly inEnvironment: string;
    readonly isLocal: boolean;
  },
): PreflightSeverities {
  const { sources, file, inEnvironment, isLocal } = from;
  for (const code of Object.keys(parsed.preflight ?? {})) sources.set(`preflight.${code}`, file);
  for (const code of Object.keys(chosen.preflight ?? {}))
    sources.set(`preflight.${code}`, `${inEnvironment}.preflight`);
  return {
    ...(isLocal ? LOCAL_SEVERITIES : {}),
    ...parsed.preflight,
    ...chosen.preflight,
  } as PreflightSeverities;
}

type Own = <T>(path: string, value: T | undefined, fallback: T, source?: string) => T;

function edgeOf(
  parsed: ParsedConfig,
  own: Own,
  at: (path: string) => string,
  namespace: string,
): EdgeConfig | undefined {
  const edge = own("edge", parsed.edge, undefined as unknown as NonNullable<ParsedConfig["edge"]>);
  if (edge === undefined) return undefined;
  return {
    hosts: own("edge.hosts", edge.hosts, []),
    routes: Object.entries(own("edge.routes", edge.routes, {}))
      .map(([path, target]) => ({
        path,
        target:
          target.kind === "bucket"
            ? { kind: "bucket" as const, name: target.name, from: at(target.from) }
            : {
                kind: "service" as const,
                name: target.name,
                port: target.port,
                namespace: target.namespace ?? namespace,
                health: target.health,
              },
      }))
      .sort((a, b) => b.path.length - a.path.length),
    port: own("edge.port", edge.port, DEFAULT_EDGE_PORT),
    retries: own("edge.retries", edge.retries, 2),
    drainMs: parseDuration(own("edge.drain", edge.drain, "30s")),
  };
}

function manifestSource(
  source: ParsedConfig["manifests"][number],
  at: (path: string) => string,
): ManifestSource {
  if (typeof source === "string") return at(source);
  return "kustomize" in source ? { kustomize: at(source.kustomize) } : source;
}

function imageSource(
  name: string,
  image: NonNullable<ParsedConfig["images"]>[string],
  at: (path: string) => string,
): ImageSourceConfig {
  if ("context" in image) {
    return {
      name,
      from: {
        kind: "context",
        context: at(image.context),
        dockerfile: resolve(at(image.context), image.dockerfile ?? "Dockerfile"),
        args: image.args ?? {},
        ...(image.target === undefined ? {} : { target: image.target }),
        ...(image.secrets === undefined ? {} : { secrets: secretsOf(image.secrets, at) }),
        ...(image.network === undefined ? {} : { network: image.network }),
      },
    };
  }
  if ("node" in image) {
    const { base, command, env = {} } = image;
    return { name, from: { kind: "node", folder: at(image.node), base, command, env } };
  }
  if ("ref" in image) return { name, from: { kind: "ref", ref: image.ref } };
  if ("archive" in image) return { name, from: { kind: "archive", archive: at(image.archive) } };
  return {
    name,
    from: {
      kind: "command",
      command: typeof image.command === "string" ? ["/bin/sh", "-c", image.command] : image.command,
    },
  };
}

function secretsOf(
  secrets: Readonly<Record<string, BuildSecret>>,
  at: (path: string) => string,
): Readonly<Record<string, BuildSecret>> {
  return Object.fromEntries(
    Object.entries(secrets).map(([id, secret]) => [
      id,
      "file" in secret ? { file: at(secret.file) } : secret,
    ]),
  );
}

function slackOf(
  parsed: ParsedConfig,
  env: NodeJS.ProcessEnv,
  sources: Map<string, string>,
): SlackConfig | undefined {
  const secrets = {
    webhookUrl: "SLACK_WEBHOOK_URL",
    botToken: "SLACK_BOT_TOKEN",
    signingSecret: "SLACK_SIGNING_SECRET",
    appToken: "SLACK_APP_TOKEN",
  } as const;
  const found: { -readonly [key in keyof typeof secrets]?: string } = {};
  for (const [key, variable] of Object.entries(secrets) as [keyof typeof secrets, string][]) {
    const value = env[variable];
    // CI systems set a secret that is not there to nothing.
    if (value === undefined || value === "") continue;
    found[key] = value;
    sources.set(`notify.slack.${key}`, variable);
  }
  const { channel, mentions, allow } = parsed.notify?.slack ?? {};
  for (const [key, value] of Object.entries({ channel, mentions, allow })) {
    if (value !== undefined) sources.set(`notify.slack.${key}`, "slipway.config.ts");
  }
  const isGiven = found.webhookUrl !== undefined || found.botToken !== undefined;
  if (!isGiven && parsed.notify?.slack === undefined) return undefined;
  const apiUrl = env["SLACK_API_URL"];
  return {
    ...found,
    ...(channel === undefined ? {} : { channel }),
    ...(mentions === undefined ? {} : { mentions }),
    ...(allow === undefined ? {} : { allow }),
    ...(apiUrl === undefined || apiUrl === "" ? {} : { apiUrl }),
  };
}
