import { join } from "node:path";
import type { Phase } from "../verify/plan.ts";
import {
  type CommandDeclaration,
  type CommandInput,
  isSet,
  listOption,
  optionWords,
  textOption,
} from "./command.ts";
import type { Watched } from "./folder-watch.ts";

export const command: CommandDeclaration = {
  summary: "check the built images, Compose files, clusters, and the deployed service",
  description:
    "Runs the checks of the spec files, and the built-in ones of every image: on the images without running them where that decides, in a container where it does not (describeImage); on the services of a Compose file, started together (describeCompose); on the manifests in an embedded cluster, or in one that is there (describeCluster); and over HTTP on the deployed service (describeService).\nThe images are those that were built last; run slipway build after a change of what they are built from.\nWithout --only and --filter, checks of contexts wait for a push, and those of the deployed service for a deploy, as in slipway ship; a line says so.\nA check passes, fails, or is unknown when there was no way to see; unknown is not a pass.\nExit code: 0 all passed, 1 a check failed, 2 a mistake in a spec file or no checks, 3 an image or the engine is missing, 4 only unknown.",
  options: [
    { flags: "-t, --filter <text>", description: "only checks whose name contains this" },
    { flags: "--image <name>", description: "only checks of this image" },
    { flags: "--skip-cluster", description: "do not try the manifests in an embedded cluster" },
    { flags: "--only <what>", description: "image, compose, cluster or service" },
    {
      flags: "--engine <name>",
      description: "where containers run: auto, sandbox, docker, podman, or none (default: auto)",
    },
    {
      flags: "--structure-test <file>",
      description: "run a file of container-structure-test instead of the spec files",
      repeatable: true,
    },
    { flags: "--allow-unknown", description: "do not fail for checks that could not be decided" },
    { flags: "-v, --verbose", description: "show the passed checks too" },
    { flags: "--junit <file>", description: "write the results as JUnit XML" },
    { flags: "--tap", description: "print TAP" },
    { flags: "--github", description: "print annotations of GitHub Actions (there it is the default)" },
    { flags: "--watch", description: "check again when a spec file or a built image changes" },
    { flags: "--allow-dirty", description: "check uncommitted changes for an environment that is not local" },
  ],
  examples: [
    "slipway verify",
    "slipway verify --only image -v",
    'slipway verify -t "port 8080" --engine docker',
    "slipway verify --structure-test structure.yaml --image web",
  ],
  async run(context, input) {
    const { SlipwayError } = await import("@slipway/base");
    const { resolve } = await import("node:path");
    const { openProject } = await import("./project.ts");
    const { buildRecordPath, outputOf } = await import("./steps.ts");
    const { buildToVerify } = await import("./verify-build.ts");
    const { engineChoice } = await import("./engine-choice.ts");
    const { verifyStep } = await import("./verify-step.ts");
    const { findWorld } = await import("../world/state.ts");
    const only = textOption(input, "only");
    if (only !== undefined && !isOnly(only)) {
      throw new SlipwayError({
        code: "USAGE_ONLY",
        where: `--only ${only}`,
        message: "should be image, compose, cluster or service",
        exitCode: 2,
      });
    }
    const engine = engineChoice(textOption(input, "engine"));
    const structureTests = listOption(input, "structureTest");
    const junit = textOption(input, "junit");
    const reports = junit === undefined ? [] : [resolve(context.cwd, junit)];
    let accepted: string | undefined;
    const run = async (): Promise<number> => {
      const project = await openProject(context, input);
      const { record, warning } = await buildToVerify(context, input, project, { accepted, reports });
      // While it watches, the images are the same whatever is edited, until they are built again.
      accepted = record.tag;
      if (warning !== undefined) context.writeError(`warning: ${warning}\n`);
      const presence = await findWorld(project.paths);
      const world = project.config.isLocal && presence.kind === "running" ? presence.state : undefined;
      const filter = textOption(input, "filter");
      const isAll = only === undefined && filter === undefined;
      return verifyStep(context, project, record, world, outputOf(context, isSet(input, "json")), {
        isShip: false,
        command: verifyWords(input),
        triesManifests: triesManifests(input, only),
        engine,
        structureTests,
        filter,
        ...(isAll ? { phases: phasesSoFar(record.isPushed === true, world !== undefined) } : {}),
        image: textOption(input, "image"),
        allowUnknown: isSet(input, "allowUnknown"),
        verbose: isSet(input, "verbose"),
        tap: isSet(input, "tap"),
        junit,
        ...(isSet(input, "github") ? { github: true } : {}),
        ...(only === undefined ? {} : { only }),
      });
    };
    if (!isSet(input, "watch")) return run();
    const { runOnChange } = await import("./run-on-change.ts");
    const watched = async () => {
      const project = await openProject(context, input);
      const paths = [...project.config.verify, ...structureTests, buildRecordPath(project)];
      return paths.map((path) => watchedWithout(reports, resolve(context.cwd, path)));
    };
    return runOnChange(context, outputOf(context, isSet(input, "json")), watched, run);
  },
};

/** A report that a run writes among the spec files would start the next run; so would what `writeAtomic` renames to it. */
export function watchedWithout(reports: readonly string[], path: string): Watched {
  const isReport = (place: string): boolean =>
    reports.some((report) => place === report || (place.startsWith(`${report}.`) && place.endsWith(".tmp")));
  return { path, isOut: (inside) => isReport(join(path, inside)) };
}

const PLACES = ["image", "compose", "cluster", "service"] as const;

const isOnly = (text: string): text is (typeof PLACES)[number] =>
  (PLACES as readonly string[]).includes(text);

/** As ship goes: contexts can be asked when the images are in a registry, services when something runs. */
const phasesSoFar = (isPushed: boolean, isRunning: boolean): readonly Phase[] => [
  "built",
  ...(isPushed ? (["pushed"] as const) : []),
  ...(isRunning ? (["deployed"] as const) : []),
];

/** The command with the options on which it depends which checks there are and where they are looked at. */
export function verifyWords(input: CommandInput): readonly string[] {
  return [
    ...["slipway", "verify", ...optionWords(input, ["config", "env", "engine", "image"])],
    ...listOption(input, "structureTest").flatMap((file) => ["--structure-test", file]),
    ...(isSet(input, "allowDirty") ? ["--allow-dirty"] : []),
  ];
}

/** Without arguments, everything; whoever asks for a part gets that part. */
function triesManifests(input: CommandInput, only: string | undefined): boolean {
  if (isSet(input, "skipCluster") || textOption(input, "image") !== undefined) return false;
  return only === undefined ? listOption(input, "structureTest").length === 0 : only === "cluster";
}
