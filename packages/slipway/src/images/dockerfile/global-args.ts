/** What stands before the first FROM, and the platforms that stages are built for. */
import { expandAt, expandFrom, targetStage } from "../build-faults.ts";
import { hostPlatform, type Platform, parsePlatform, showPlatform } from "../oci.ts";
import { type Dockerfile, findStage, neededStages, type Stage } from "./parse.ts";
import { splitWords, type Variables, variable } from "./words.ts";

export interface PlannedStages {
  readonly globalArgs: Variables;
  /** What its FROM names. */
  readonly fromOf: (stage: Stage) => string;
  /** In the order of the file; the last one becomes the image. */
  readonly stages: readonly Stage[];
}

/** What is built of a Dockerfile for an image. Throws DOCKERFILE_INVALID. */
export function plannedStages(
  dockerfile: Dockerfile,
  { args, target }: { readonly args: Variables; readonly target?: string | undefined },
  image: string,
  platform: Platform,
): PlannedStages {
  const globalArgs = globalArgsOf(dockerfile, args, platform);
  const fromOf = (stage: Stage): string => expandFrom(dockerfile, stage, stage.from, globalArgs);
  return {
    globalArgs,
    fromOf,
    stages: neededStages(dockerfile, fromOf, targetStage(dockerfile, target, image)),
  };
}

/** ARG before the first FROM, under the names that Docker gives by itself. */
function globalArgsOf(dockerfile: Dockerfile, buildArgs: Variables, target: Platform): Variables {
  const values: Record<string, string> = {
    ...platformArgs("TARGET", target),
    ...platformArgs("BUILD", hostPlatform()),
  };
  for (const { text, line } of dockerfile.globalArgs) {
    for (const word of splitWords(text, dockerfile.escapeChar)) {
      const equals = word.indexOf("=");
      const name = equals < 0 ? word : word.slice(0, equals);
      const given = variable(buildArgs, name);
      if (given !== undefined) values[name] = given;
      else if (equals >= 0) values[name] = expandAt(dockerfile, line, word.slice(equals + 1), values);
    }
  }
  return values;
}

/** `TARGETPLATFORM`, `TARGETARCH`, …: the arguments that every Dockerfile has. */
const platformArgs = (prefix: string, platform: Platform): Variables => ({
  [`${prefix}PLATFORM`]: showPlatform(platform),
  [`${prefix}OS`]: platform.os,
  [`${prefix}ARCH`]: platform.architecture,
  [`${prefix}VARIANT`]: platform.variant ?? "",
});

/** In the order of the stages; one that starts from another is for the same machine. */
export function stagePlatforms(
  dockerfile: Dockerfile,
  stages: readonly Stage[],
  fromOf: (stage: Stage) => string,
  globalArgs: Variables,
  target: Platform,
): ReadonlyMap<Stage, Platform> {
  const platforms = new Map<Stage, Platform>();
  for (const stage of stages) {
    const base = findStage(dockerfile, fromOf(stage), stage.index);
    const own = base === undefined ? ownPlatform(dockerfile, stage, globalArgs, target) : platforms.get(base);
    platforms.set(stage, own as Platform);
  }
  return platforms;
}

function ownPlatform(
  dockerfile: Dockerfile,
  stage: Stage,
  globalArgs: Variables,
  target: Platform,
): Platform {
  if (stage.platform === undefined) return target;
  const text = expandAt(dockerfile, stage.line, stage.platform, globalArgs);
  return parsePlatform(text, `${dockerfile.where}:${stage.line}`);
}

/** Names of `args` that no ARG of the file takes. */
export function unusedArgs(dockerfile: Dockerfile, args: Variables): readonly string[] {
  const declared = [...dockerfile.globalArgs, ...dockerfile.stages.flatMap((stage) => stage.instructions)]
    .filter((instruction) => instruction.keyword === "ARG")
    .flatMap((instruction) => instruction.text.split(/\s+/).map((word) => word.split("=")[0]));
  return Object.keys(args).filter((name) => !declared.includes(name));
}
