/**
 * The build engines of this machine: which of them answer, and what the one that is installed can do. Found by
 * asking, since a client without its daemon, or without the buildx plugin, is common.
 */
import { exec, SlipwayError } from "@slipway/base";

/** `--builder`: a name, or the first that answers, else Slipway's own. */
export const BUILDERS = ["auto", "slipway", "docker", "buildx", "podman"] as const;
export type Builder = (typeof BUILDERS)[number];

export interface Engine {
  readonly kind: "docker" | "buildx" | "podman";
  /** `docker 20.10.24`, for messages. */
  readonly name: string;
  /**
   * What its build cannot do: the classic builder of Docker has no secrets, no mounts of RUN and no heredocs, and
   * builds for its own platform only.
   */
  readonly isClassic: boolean;
  /** For its commands, beside the caller's. */
  readonly env: Readonly<Record<string, string>>;
}

/** Asks programs; passed in so that the choice can be tried with any machine's answers. */
export type Ask = (command: readonly string[]) => Promise<string | undefined>;

/** The answer of a program that ends well; undefined for everything else. */
export function askPrograms(env: NodeJS.ProcessEnv, signal: AbortSignal | undefined): Ask {
  return async (command) => {
    try {
      const options = signal === undefined ? { env } : { env, signal };
      const result = await exec(command, options);
      return result.exitCode === 0 ? result.stdout.trim() : undefined;
    } catch {
      return undefined; // not installed
    }
  };
}

/**
 * The engine to build with; undefined is Slipway's own builder. Rejects with IMAGES_ENGINE_MISSING when one is named
 * that does not answer.
 */
export async function findEngine(builder: Builder, ask: Ask): Promise<Engine | undefined> {
  if (builder === "slipway") return undefined;
  if (builder === "podman") return (await podman(ask)) ?? missing("podman", "podman info");
  const server = await ask(["docker", "version", "--format", "{{.Client.Version}} {{.Server.Version}}"]);
  const [client = "", version = ""] = (server ?? "").split(" ");
  // Podman's stand-in for docker answers, but is podman.
  const isDocker = server !== undefined && version !== "";
  const hasBuildx =
    isDocker && builder !== "docker" && (await ask(["docker", "buildx", "version"])) !== undefined;
  if (hasBuildx) {
    // Provenance of its own would make an index of an image; Slipway attaches one.
    const env = { BUILDX_NO_DEFAULT_ATTESTATIONS: "1" };
    return { kind: "buildx", name: `docker buildx ${version}`, isClassic: false, env };
  }
  if (builder === "buildx") {
    if (!isDocker) return missing("buildx", "docker version");
    return missing("buildx", "docker buildx version", "Debian's docker.io does not bring this plugin");
  }
  if (isDocker) {
    // Clients before 23 have BuildKit built in; later ones only through the buildx plugin.
    const isBuildKit =
      Number(client.split(".")[0]) < 23 || (await ask(["docker", "buildx", "version"])) !== undefined;
    return {
      kind: "docker",
      name: `docker ${version}`,
      isClassic: !isBuildKit,
      env: { DOCKER_BUILDKIT: isBuildKit ? "1" : "0" },
    };
  }
  if (builder === "docker") return missing("docker", "docker version");
  return podman(ask);
}

async function podman(ask: Ask): Promise<Engine | undefined> {
  const version = await ask(["podman", "info", "--format", "{{.Version.Version}}"]);
  return version === undefined
    ? undefined
    : { kind: "podman", name: `podman ${version}`, isClassic: false, env: {} };
}

function missing(name: string, command: string, reason?: string): never {
  throw new SlipwayError({
    code: "IMAGES_ENGINE_MISSING",
    where: `--builder ${name}`,
    message: `${name} does not answer`,
    hint: `\`${command}\` must work here${reason === undefined ? "" : ` (${reason})`}; or build without an engine: --builder slipway.`,
    exitCode: 3,
  });
}
