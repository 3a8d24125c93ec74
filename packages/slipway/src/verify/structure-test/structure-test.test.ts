import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { systemClock } from "@slipway/base";
import type { BuiltImage } from "../../images/image.ts";
import { ImageLayout } from "../../images/layout.ts";
import { nameOf } from "../check.ts";
import { goMode } from "../judge/files.ts";
import { webBase } from "../mutations/bases.ts";
import { buildImage } from "../mutations/build.ts";
import { decideChecks } from "../run.ts";
import { collectStructureTests, parseStructureTest } from "./load.ts";

let folder: string;
let image: BuiltImage;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-structure-"));
  const base = webBase(undefined);
  const config = { Env: [...(base.config.Env ?? []), "VERSION=1.2.3"], Entrypoint: ["/app/start"], Cmd: [] };
  image = await buildImage(base, { config }, await ImageLayout.open(folder));
});
after(() => rm(folder, { recursive: true, force: true }));

/** The fields of one test of the format, and the verdict of the check that each becomes. */
const FIELDS: readonly [string, string, string][] = [
  ["shouldExist: true", "fileExistenceTests: [{name: a, path: /app/tool, shouldExist: true}]", "pass"],
  ["shouldExist left out", "fileExistenceTests: [{name: a, path: /app/none}]", "fail"],
  ["shouldExist: false", "fileExistenceTests: [{name: a, path: /app/none, shouldExist: false}]", "pass"],
  [
    "shouldExist: false, but it does",
    "fileExistenceTests: [{name: a, path: /app/tool, shouldExist: false}]",
    "fail",
  ],
  ["a path without a slash", "fileExistenceTests: [{name: a, path: app/tool}]", "pass"],
  ["permissions", "fileExistenceTests: [{name: a, path: /app/tool, permissions: '-rwxr-xr-x'}]", "pass pass"],
  [
    "permissions of a folder",
    "fileExistenceTests: [{name: a, path: /app/data, permissions: drwxr-x---}]",
    "pass pass",
  ],
  [
    "permissions of a link",
    "fileExistenceTests: [{name: a, path: /app/current, permissions: Lrwxrwxrwx}]",
    "pass pass",
  ],
  [
    "permissions with setuid",
    "fileExistenceTests: [{name: a, path: /bin/passwd, permissions: urwxr-xr-x}]",
    "pass pass",
  ],
  [
    "other permissions",
    "fileExistenceTests: [{name: a, path: /app/tool, permissions: '-rw-r--r--'}]",
    "pass fail",
  ],
  ["uid and gid", "fileExistenceTests: [{name: a, path: /app/data, uid: 1000, gid: 1000}]", "pass pass pass"],
  ["another uid", "fileExistenceTests: [{name: a, path: /app/data, uid: 0}]", "pass fail"],
  [
    "isExecutableBy any",
    "fileExistenceTests: [{name: a, path: /app/tool, isExecutableBy: any}]",
    "pass pass",
  ],
  [
    "isExecutableBy other",
    "fileExistenceTests: [{name: a, path: /app/data, isExecutableBy: other}]",
    "pass fail",
  ],
  [
    "isExecutableBy owner",
    "fileExistenceTests: [{name: a, path: /app/server.conf, isExecutableBy: owner}]",
    "pass fail",
  ],
  [
    "expectedContents",
    "fileContentTests: [{name: a, path: /app/server.conf, expectedContents: ['listen \\d+;', be1]}]",
    "pass pass",
  ],
  [
    "expectedContents, inline flag",
    "fileContentTests: [{name: a, path: /app/server.conf, expectedContents: ['(?i)LISTEN']}]",
    "pass",
  ],
  [
    "expectedContents missing",
    "fileContentTests: [{name: a, path: /app/server.conf, expectedContents: [be9]}]",
    "fail",
  ],
  [
    "excludedContents",
    "fileContentTests: [{name: a, path: /app/server.conf, excludedContents: [debug, listen]}]",
    "pass fail",
  ],
  [
    "contents of no file",
    "fileContentTests: [{name: a, path: /app/none, excludedContents: [debug]}]",
    "fail",
  ],
  ["no contents", "fileContentTests: [{name: a, path: /app/server.conf}]", "pass"],
  [
    "envVars",
    "metadataTest: {envVars: [{key: PORT, value: 8080}, {key: VERSION, value: '^1\\.', isRegex: true}]}",
    "pass pass",
  ],
  ["another envVar", "metadataTest: {envVars: [{key: VERSION, value: '1.2'}]}", "fail"],
  ["labels", "metadataTest: {labels: [{key: team, value: web}, {key: none, value: x}]}", "pass fail"],
  ["unboundEnvVars", "metadataTest: {unboundEnvVars: [{key: DEBUG}, {key: PORT}]}", "pass fail"],
  ["entrypoint", "metadataTest: {entrypoint: [/app/start]}", "pass"],
  ["an empty cmd", "metadataTest: {cmd: []}", "pass"],
  ["an empty entrypoint", "metadataTest: {entrypoint: []}", "fail"],
  ["exposedPorts", "metadataTest: {exposedPorts: ['8080', 9090]}", "pass fail"],
  ["unexposedPorts", "metadataTest: {unexposedPorts: ['22', '8080']}", "pass fail"],
  ["volumes", "metadataTest: {volumes: [/app/data], unmountedVolumes: [/etc, /app/data]}", "pass pass fail"],
  ["empty ones, which say nothing", "metadataTest: {workdir: '', user: '', cmd: []}", "pass"],
  ["workdir and user", "metadataTest: {workdir: /app, user: root}", "pass fail"],
  [
    "commandTests without an engine",
    "commandTests: [{name: a, command: id, expectedOutput: [app]}]",
    "unknown unknown",
  ],
];

for (const [name, yaml, verdicts] of FIELDS) {
  test(`structure test: ${name}`, async () => {
    const checks = parseStructureTest(`schemaVersion: 2.0.0\n${yaml}\n`, "/x/t.yaml", "web");
    const results = await decideChecks(checks, { images: [image], root: "/x", clock: systemClock });
    assert.equal(
      results.map(({ verdict }) => verdict).join(" "),
      verdicts,
      JSON.stringify(results.map((one) => one.evidence)),
    );
    assert.ok(results.every(({ place }) => place.startsWith("t.yaml:2:")));
  });
}

test("commands become commands: argv, environment, setup, and an expectation for each expression", () => {
  const checks = parseStructureTest(
    `schemaVersion: "2.0.0"
globalEnvVars: [{key: PATH, value: "/opt/bin:$PATH"}]
containerRunOptions: {user: app, envVars: [CI, NOT_SET]}
commandTests:
  - name: version
    setup: [[touch, /tmp/x]]
    teardown: [[rm, /tmp/x]]
    command: node
    args: [--version]
    envVars: [{key: A, value: 1}]
    expectedOutput: ["v24", "\\\\d"]
    excludedOutput: [v20]
    expectedError: ["^$"]
    excludedError: [warn]
    exitCode: 3
`,
    "t.yaml",
    "web",
    { CI: "true" },
  );
  assert.deepEqual(checks.map(nameOf), [
    "image web › version › exits 3",
    "image web › version › stdout matches /v24/",
    "image web › version › stdout matches /\\d/",
    "image web › version › stdout lacks /v20/",
    "image web › version › stderr matches /^$/",
    "image web › version › stderr lacks /warn/",
  ]);
  const [check] = checks;
  assert.ok(check?.kind === "command" && check.target.kind === "image");
  assert.deepEqual(check.target.run, { isIdle: true, user: "app", environment: { CI: "true" } });
  assert.deepEqual(
    [check.resource.argv, check.resource.environment, check.resource.setup, check.resource.teardown],
    [["node", "--version"], { PATH: "/opt/bin:$PATH", A: "1" }, [["touch", "/tmp/x"]], [["rm", "/tmp/x"]]],
  );
});

test("what is not carried out is an error that names the field and its place, never a skip", async () => {
  const table: readonly [string, string, RegExp][] = [
    [
      "schemaVersion: 2.0.0\nlicenseTests: [{debian: true}]\n",
      "t.yaml:2:15",
      /licenseTests is not supported/,
    ],
    [
      "schemaVersion: 2.0.0\ncontainerRunOptions:\n  privileged: true\n",
      "t.yaml:3:15",
      /containerRunOptions\.privileged is not supported/,
    ],
    [
      "schemaVersion: 2.0.0\ncontainerRunOptions: {bindMounts: [a]}\n",
      "t.yaml:2:35",
      /bindMounts is not supported/,
    ],
    ["schemaVersion: 2.0.0\ncommandTest: []\n", "t.yaml:2:14", /commandTest is not a field/],
    [
      "schemaVersion: 2.0.0\ncommandTests: [{name: a, command: b, exitcode: 1}]\n",
      "t.yaml:2:48",
      /commandTests\.0\.exitcode/,
    ],
    ["schemaVersion: 1.0.0\n", "t.yaml:1:16", /schemaVersion/],
    ["commandTests: []\n", "t.yaml:1:1", /schemaVersion/],
    ["schemaVersion: 2.0.0\nfileContentTests: [{name: a}]\n", "t.yaml:2:20", /fileContentTests\.0\.path/],
    ["schemaVersion: [\n", "t.yaml:2:1", /./],
  ];
  for (const [text, where, message] of table) {
    assert.throws(
      () => parseStructureTest(text, "t.yaml", "web"),
      (error: { code: string; exitCode: number; where: string; message: string }) => {
        assert.deepEqual(
          [error.code, error.exitCode, error.where],
          ["VERIFY_STRUCTURE_TEST_INVALID", 2, where],
          text,
        );
        assert.match(error.message, message);
        return true;
      },
      text,
    );
  }
  await assert.rejects(
    collectStructureTests(["none.yaml"], { cwd: folder, images: ["web"], image: undefined }),
    {
      code: "VERIFY_STRUCTURE_TEST_INVALID",
    },
  );
  await assert.rejects(
    collectStructureTests(["x.yaml"], { cwd: folder, images: ["a", "b"], image: undefined }),
    {
      code: "VERIFY_STRUCTURE_TEST_IMAGE",
    },
  );
});

test("modes are written as Go writes them", () => {
  const file = { uid: 0, gid: 0, size: 0, mtime: 0, link: "" };
  const table: readonly [Parameters<typeof goMode>[0]["kind"], number, string][] = [
    ["file", 0o644, "-rw-r--r--"],
    ["file", 0o4755, "urwxr-xr-x"],
    ["file", 0o6711, "ugrwx--x--x"],
    ["directory", 0o1777, "dtrwxrwxrwx"],
    ["symlink", 0o777, "Lrwxrwxrwx"],
    ["character", 0o666, "Dcrw-rw-rw-"],
    ["block", 0o660, "Drw-rw----"],
    ["fifo", 0o600, "prw-------"],
    ["socket", 0o755, "Srwxr-xr-x"],
  ];
  for (const [kind, mode, expected] of table) assert.equal(goMode({ ...file, kind, mode }), expected);
});
