/**
 * The tests of a container-structure-test file as Slipway's checks, one for each expectation.
 * Source: container-structure-test's documentation of schema 2.0.0. Expressions are searched; `exitCode` is 0 unless
 * given; files are looked at without following a link at the end; each command gets a fresh container in which the
 * image's own command does not run; variables are expanded from the image's.
 */
import type { Check, CheckOf, Kind, Kinds, Target } from "../check.ts";
import { specError } from "../collect.ts";
import { showMatch } from "../text.ts";
import type { TextMatch } from "../text-match.ts";
import type { StructureTest } from "./schema.ts";

const DEADLINE_MS = 0;

export interface Translation {
  readonly image: string;
  /** `structure.yaml:14:3` of a path in the document. */
  readonly placeOf: (path: readonly (string | number)[]) => string;
  /** This process's, for containerRunOptions.envVars. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

type Add = <K extends Kind>(
  kind: K,
  subject: string,
  resource: Kinds[K]["resource"],
  expectations: readonly (readonly [says: string, expectation: Kinds[K]["expectation"]])[],
  path: readonly (string | number)[],
) => void;

export function checksOf(test: StructureTest, { image, placeOf, env }: Translation): readonly Check[] {
  const { user, envVars: handedOn = [] } = test.containerRunOptions ?? {};
  const given = handedOn.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]] as const]));
  const target: Target = {
    kind: "image",
    image,
    run: {
      isIdle: true,
      ...(user === undefined ? {} : { user }),
      ...(given.length === 0 ? {} : { environment: Object.fromEntries(given) }),
    },
  };
  const checks: Check[] = [];
  const add: Add = (kind, subject, resource, expectations, path) => {
    for (const [says, expectation] of expectations) {
      const check = {
        kind,
        target,
        resource,
        expectation,
        subject,
        says,
        place: placeOf(path),
        deadlineMs: DEADLINE_MS,
      };
      checks.push(check as CheckOf<Kind> as Check);
    }
  };
  commands(test, add);
  existence(test, add);
  contents(test, add);
  metadata(test.metadataTest ?? {}, add);
  return checks;
}

function commands(test: StructureTest, add: Add): void {
  for (const [index, one] of (test.commandTests ?? []).entries()) {
    const expectations: (readonly [string, Kinds["command"]["expectation"]])[] = [
      [`exits ${one.exitCode ?? 0}`, { matcher: "exits", code: one.exitCode ?? 0, isImplied: false }],
    ];
    for (const [stream, isWanted, patterns] of [
      ["stdout", true, one.expectedOutput],
      ["stdout", false, one.excludedOutput],
      ["stderr", true, one.expectedError],
      ["stderr", false, one.excludedError],
    ] as const) {
      for (const match of (patterns ?? []).map(expression)) {
        const says = `${stream} ${isWanted ? "matches" : "lacks"} ${showMatch(match)}`;
        expectations.push([says, { matcher: "text", stream, match, isWanted }]);
      }
    }
    const variables = [...(test.globalEnvVars ?? []), ...(one.envVars ?? [])];
    const resource: Kinds["command"]["resource"] = {
      argv: [one.command, ...(one.args ?? [])],
      environment: Object.fromEntries(variables.map(({ key, value }) => [key, value])),
      isExpanded: true,
      user: undefined,
      workingDir: undefined,
      stdin: undefined,
      timeoutMs: 60_000,
      exitCode: one.exitCode ?? 0,
      isIsolated: true,
      hasEntrypoint: false,
      setup: one.setup ?? [],
      teardown: one.teardown ?? [],
    };
    add("command", one.name, resource, expectations, ["commandTests", index]);
  }
}

function existence(test: StructureTest, add: Add): void {
  for (const [index, one] of (test.fileExistenceTests ?? []).entries()) {
    const { path, permissions, uid, gid, isExecutableBy } = one;
    const subject = `${one.name}: file ${path}`;
    const place = ["fileExistenceTests", index];
    if (one.shouldExist === false) {
      add("file", subject, { path: absolute(path) }, [["absent", { matcher: "absent" }]], place);
      continue;
    }
    const wanted: (readonly [string, Kinds["file"]["expectation"]])[] = [
      [
        "exists",
        { matcher: "entry", permissions: undefined, uid: undefined, gid: undefined, executableBy: undefined },
      ],
    ];
    const nothing = {
      matcher: "entry" as const,
      permissions: undefined,
      uid: undefined,
      gid: undefined,
      executableBy: undefined,
    };
    if (permissions !== undefined) wanted.push([`permissions ${permissions}`, { ...nothing, permissions }]);
    if (uid !== undefined && uid >= 0) wanted.push([`uid ${uid}`, { ...nothing, uid }]);
    if (gid !== undefined && gid >= 0) wanted.push([`gid ${gid}`, { ...nothing, gid }]);
    if (isExecutableBy !== undefined) {
      wanted.push([`executable by ${isExecutableBy}`, { ...nothing, executableBy: isExecutableBy }]);
    }
    add("file", subject, { path: absolute(path) }, wanted, place);
  }
}

function contents(test: StructureTest, add: Add): void {
  for (const [index, one] of (test.fileContentTests ?? []).entries()) {
    const of = (matcher: "contains" | "lacks", patterns: readonly string[] = []) =>
      patterns
        .map(expression)
        .map((match) => [`${matcher} ${showMatch(match)}`, { matcher, match, section: undefined }] as const);
    const wanted = [...of("contains", one.expectedContents), ...of("lacks", one.excludedContents)];
    // A test without expectations still wants the file to be there.
    const all = wanted.length > 0 ? wanted : [["exists", { matcher: "exists" }] as const];
    add("file", `${one.name}: file ${one.path}`, { path: absolute(one.path) }, all, [
      "fileContentTests",
      index,
    ]);
  }
}

function metadata(test: NonNullable<StructureTest["metadataTest"]>, add: Add): void {
  const image = (
    field: string,
    wanted: readonly (readonly [string, Kinds["image"]["expectation"]])[],
  ): void => add("image", "metadata", {}, wanted, ["metadataTest", field]);
  for (const [field, matcher] of [
    ["envVars", "env"],
    ["labels", "label"],
  ] as const) {
    for (const { key, value, isRegex } of test[field] ?? []) {
      const match: TextMatch = isRegex === true ? expression(value) : { is: "exactly", text: value };
      image(field, [[`${matcher} ${key} is ${showMatch(match)}`, { matcher, name: key, match }]]);
    }
  }
  for (const { key } of test.unboundEnvVars ?? [])
    image("unboundEnvVars", [[`env ${key} is not set`, { matcher: "envUnset", name: key }]]);
  for (const matcher of ["entrypoint", "cmd"] as const) {
    const list = test[matcher];
    if (list !== undefined)
      image(matcher, [[`${matcher} ${JSON.stringify(list)}`, { matcher, words: list }]]);
  }
  for (const port of test.exposedPorts ?? [])
    image("exposedPorts", [[`exposes ${port}`, { matcher: "exposes", port }]]);
  for (const port of test.unexposedPorts ?? [])
    image("unexposedPorts", [[`does not expose ${port}`, { matcher: "exposesNot", port }]]);
  for (const path of test.volumes ?? []) image("volumes", [[`volume ${path}`, { matcher: "volume", path }]]);
  for (const path of test.unmountedVolumes ?? [])
    image("unmountedVolumes", [[`no volume ${path}`, { matcher: "volumeNot", path }]]);
  for (const matcher of ["workdir", "user"] as const) {
    const value = test[matcher];
    // Go cannot tell an empty text from none: container-structure-test looks at neither.
    if (value !== undefined && value !== "") image(matcher, [[`${matcher} ${value}`, { matcher, value }]]);
  }
}

const absolute = (path: string): string => (path.startsWith("/") ? path : `/${path}`);

/** Go's expressions and ECMAScript's agree in what such files use; `(?i)` at the front and `(?s)` are read too. */
function expression(source: string): TextMatch {
  const flags = /^\(\?([imsU]+)\)/.exec(source);
  const found = flags === null ? "" : (flags[1] as string).replaceAll("U", "");
  const bare = flags === null ? source : source.slice(flags[0].length);
  try {
    new RegExp(bare, found);
  } catch (error) {
    throw specError(
      `"${source}" is not an expression: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  return { is: "matching", source: bare, flags: found };
}
