// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the syntax of Compose
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { SlipwayError } from "@slipway/base";
import { type LoadOptions, loadProject } from "./load.ts";
import type { ComposeService } from "./model.ts";

type Files = Readonly<Record<string, string>>;

async function load(files: Files | string, over: Partial<LoadOptions> = {}) {
  const all: Files = typeof files === "string" ? { "compose.yaml": files } : files;
  return loadProject({
    cwd: "/work/shop",
    env: {},
    readText: async (path) => all[path.replace("/work/shop/", "")],
    ...over,
  });
}

async function services(files: Files | string, over: Partial<LoadOptions> = {}) {
  const { project } = await load(files, over);
  return Object.fromEntries(project.services.map((service) => [service.name, service]));
}

/** The only service, of whose lines only those that matter are written. */
async function web(lines: string, over: Partial<LoadOptions> = {}): Promise<ComposeService> {
  const found = await services(`services:\n  web:\n    image: web\n${indented(lines)}\n${TOP}`, over);
  return found["web"] as ComposeService;
}
const indented = (lines: string): string => lines.replaceAll(/^(?=.)/gm, "    ");
const TOP = "networks: { front: , back: { driver: bridge } }\nvolumes: { data: }\n";

const health = { test: [], intervalMs: 30_000, timeoutMs: 30_000, startPeriodMs: 0, retries: 3 };

describe("a key of a service", () => {
  const cases: readonly (readonly [string, Partial<ComposeService>])[] = [
    ["command: nginx -g 'daemon off;'", { command: ["nginx", "-g", "daemon off;"] }],
    ['command: ["a b", c]', { command: ["a b", "c"] }],
    ["command: []", { command: [] }],
    ['entrypoint: sh -c "echo \\"x\\""', { entrypoint: ["sh", "-c", 'echo "x"'] }],
    ["environment: { A: 1, B: true, C: , D: x }", { environment: { A: "1", B: "true", D: "x" } }],
    ["environment: [A=1, B=, HOST]", { environment: { A: "1", B: "", HOST: "box" } }],
    ["environment: { ID: 1234567890123456789 }", { environment: { ID: "1234567890123456789" } }],
    ['user: "1000"', { user: "1000" }],
    ["working_dir: /app\nhostname: box", { workingDir: "/app", hostname: "box" }],
    ["expose: [80, 53/udp, 90-91]", { exposed: [tcp(80), { port: 53, protocol: "udp" }, tcp(90), tcp(91)] }],
    ["ports: ['8080:80']", { exposed: [tcp(80)], published: [at(80, 8080)] }],
    ["ports: ['80']", { published: [at(80, 0)] }],
    ["ports: ['0.0.0.0:8080:80']", { published: [{ ...at(80, 8080), hostIp: "0.0.0.0" }] }],
    ["ports: ['[::1]:8080:80/tcp']", { published: [{ ...at(80, 8080), hostIp: "::1" }] }],
    ["ports: ['9000-9001:80-81']", { published: [at(80, 9000), at(81, 9001)] }],
    ["ports: ['127.0.0.1::80']", { published: [at(80, 0)] }],
    [
      "ports: [{ target: 80, published: '8080', protocol: tcp, mode: ingress }]",
      { published: [at(80, 8080)] },
    ],
    ["volumes: ['./html:/www:ro']", { mounts: [bind("/work/shop/html", "/www", true)] }],
    [
      "volumes: ['data:/data']",
      { mounts: [{ kind: "volume", volume: "data", path: "/data", isReadOnly: false }] },
    ],
    [
      "volumes: [/data]",
      { mounts: [{ kind: "volume", volume: "web_data", path: "/data", isReadOnly: false }] },
    ],
    [
      "volumes: [{ type: bind, source: ../x, target: /x, read_only: true, bind: { create_host_path: true } }]",
      { mounts: [bind("/work/x", "/x", true)] },
    ],
    ["tmpfs: /run", { mounts: [{ kind: "tmpfs", path: "/run" }] }],
    ["networks: [front]", { networks: [{ name: "front", aliases: [] }] }],
    [
      "networks: { front: { aliases: [www] }, back: }",
      {
        networks: [
          { name: "front", aliases: ["www"] },
          { name: "back", aliases: [] },
        ],
      },
    ],
    ["container_name: the-web", { networks: [{ name: "default", aliases: ["the-web"] }] }],
    [
      "extra_hosts: ['a:10.0.0.1', 'b=::1']",
      {
        extraHosts: [
          { name: "a", ip: "10.0.0.1" },
          { name: "b", ip: "::1" },
        ],
      },
    ],
    ["extra_hosts: { a: 10.0.0.1 }", { extraHosts: [{ name: "a", ip: "10.0.0.1" }] }],
    [
      "healthcheck: { test: curl -f localhost, interval: 1m30s, timeout: 500ms, retries: 5 }",
      {
        healthcheck: {
          ...health,
          test: ["/bin/sh", "-c", "curl -f localhost"],
          intervalMs: 90_000,
          timeoutMs: 500,
          retries: 5,
        },
      },
    ],
    [
      'healthcheck: { test: [CMD, "true"], start_period: 2s }',
      { healthcheck: { ...health, test: ["true"], startPeriodMs: 2000 } },
    ],
    ["healthcheck: { disable: true }", { healthcheck: "none" }],
    ["healthcheck: { test: [NONE] }", { healthcheck: "none" }],
    ["stop_signal: SIGQUIT\nstop_grace_period: 1m", { stopSignal: "SIGQUIT", stopGraceMs: 60_000 }],
    ["read_only: true\ninit: 'true'", { isReadOnly: true, hasInit: true }],
    ["restart: no", { restart: "no" }],
    ["restart: no\nread_only: yes\ninit: off", { restart: "no", isReadOnly: true, hasInit: false }],
    [
      "environment: { A: 0123, B: 1_000, C: 1.10, D: 1e6, E: yes, F: '1.10', G: 22:22, H: !!str 1.0, I: TRUE }",
      {
        environment: {
          ...{
            A: "83",
            B: "1000",
            C: "1.1",
            D: "1e+06",
            E: "yes",
            F: "1.10",
            G: "22:22",
            H: "1.0",
            I: "true",
          },
        },
      },
    ],
    ["labels: { a: , b: 1.0, c: off }", { labels: { a: "", b: "1", c: "off" } }],
    ["command: [yes, 22:22, '1.0']", { command: ["yes", "22:22", "1.0"] }],
    ["ports: [22:22, 0120]", { published: [at(22, 22), at(80, 0)] }],
    ["restart: unless-stopped", { restart: "unless-stopped" }],
    ["labels: [a=1]", { labels: { a: "1" } }],
    ["x-mine: { anything: goes }", {}],
  ];
  for (const [lines, expected] of cases) {
    test(lines, async () => {
      const found = await web(lines, { env: { HOST: "box" } });
      for (const [key, value] of Object.entries(expected))
        assert.deepEqual(found[key as keyof ComposeService], value, key);
    });
  }

  test("what is not said has Compose's defaults", async () => {
    const { place: _, keys: __, ...found } = await web("");
    assert.deepEqual(found, {
      name: "web",
      build: undefined,
      image: "web",
      command: undefined,
      entrypoint: undefined,
      environment: {},
      user: undefined,
      workingDir: undefined,
      hostname: undefined,
      networks: [{ name: "default", aliases: [] }],
      extraHosts: [],
      mounts: [],
      exposed: [],
      published: [],
      healthcheck: undefined,
      dependsOn: [],
      stopSignal: undefined,
      stopGraceMs: 10_000,
      isReadOnly: false,
      restart: "no",
      hasInit: false,
      labels: {},
    });
  });
});

function tcp(port: number) {
  return { port, protocol: "tcp" } as const;
}
function at(port: number, hostPort: number) {
  return { port, protocol: "tcp", hostPort, hostIp: "127.0.0.1" } as const;
}
function bind(source: string, path: string, isReadOnly: boolean) {
  return { kind: "bind", source, path, isReadOnly } as const;
}

test("build is a folder or a mapping", async () => {
  const found = await services(
    "services:\n  a: { build: ./a }\n  b: { build: { context: b, dockerfile: D, args: [X=1], target: t }, image: own }\n",
  );
  const [context, dockerfile] = ["/work/shop/a", "/work/shop/a/Dockerfile"];
  assert.deepEqual(found["a"]?.build, { context, dockerfile, args: {}, target: undefined });
  assert.deepEqual(found["b"]?.build, {
    context: "/work/shop/b",
    dockerfile: "/work/shop/b/D",
    args: { X: "1" },
    target: "t",
  });
});

test("a build argument without a value is what the environment has", async () => {
  const build = (args: string) => `services: { a: { build: { context: a, args: ${args} } } }\n`;
  const env = { COMMIT: "abc", HTTP_PROXY: "" };
  for (const args of ["[COMMIT, HTTP_PROXY, NONE, X=1]", "{ COMMIT: , HTTP_PROXY: , NONE: , X: 1 }"]) {
    const { a } = await services(build(args), { env });
    assert.deepEqual(a?.build?.args, { COMMIT: "abc", HTTP_PROXY: "", X: "1" });
  }
  const { a } = await services({ "compose.yaml": build("[COMMIT]"), ".env": "COMMIT=def\n" });
  assert.deepEqual(a?.build?.args, { COMMIT: "def" });
});

describe("dependencies", () => {
  const file = (depends: string): string =>
    `services:\n  web:\n    image: x\n    depends_on: ${depends}\n  db: { image: x }\n  job: { image: x, profiles: [jobs] }\n`;
  const cases: readonly (readonly [string, string])[] = [
    ["[db]", "db started true"],
    ["{ db: { condition: service_healthy } }", "db healthy true"],
    [
      "{ db: { condition: service_completed_successfully, required: false, restart: true } }",
      "db completed false",
    ],
    ["{ job: { condition: service_started, required: false } }", "job started false"],
    ["{ nobody: { condition: service_started, required: false } }", "nobody started false"],
  ];
  for (const [depends, expected] of cases) {
    test(depends, async () => {
      const [first] = (await services(file(depends)))["web"]?.dependsOn ?? [];
      assert.equal(`${first?.service} ${first?.condition} ${first?.isRequired}`, expected);
    });
  }

  test("a chosen profile brings its services", async () => {
    assert.deepEqual(Object.keys(await services(file("[db]"))), ["web", "db"]);
    assert.deepEqual(Object.keys(await services(file("[job]"), { profiles: ["jobs"] })), [
      "web",
      "db",
      "job",
    ]);
    const env = { COMPOSE_PROFILES: "other,jobs" };
    assert.deepEqual(Object.keys(await services(file("[job]"), { env })), ["web", "db", "job"]);
  });
});

describe("variables", () => {
  const file = "services:\n  web:\n    image: web:${TAG:-latest}\n    environment: { P: '$$1', Q: $QUIET }\n";
  test("come from the process before .env, and what is not set is told", async () => {
    const files = { "compose.yaml": file, ".env": "TAG=1\nNOBODY" };
    assert.equal((await services(files))["web"]?.image, "web:1");
    assert.equal((await services(files, { env: { TAG: "2" } }))["web"]?.image, "web:2");
    assert.equal((await services(file))["web"]?.image, "web:latest");
    const { warnings, project } = await load(file);
    assert.deepEqual(warnings, ["the variable QUIET is not set; it counts as empty"]);
    assert.deepEqual(project.services[0]?.environment, { P: "$1", Q: "" });
  });

  test("the project's name is the file's, the caller's, or the folder's", async () => {
    const named = "name: fine\nservices: { web: { image: x } }\n";
    assert.equal((await load(named)).project.name, "fine");
    assert.equal((await load(file)).project.name, "shop");
    assert.equal((await load(file, { env: { COMPOSE_PROJECT_NAME: "other" } })).project.name, "other");
  });
});

test("env_file lies below environment, later files over earlier ones, and may be missing when it says so", async () => {
  const found = await services({
    "compose.yaml":
      "services:\n  web:\n    image: x\n    env_file: [a.env, { path: b.env }, { path: none.env, required: false }]\n    environment: { C: own, D: }\n",
    "a.env": "A=1\nB=1\nC=1\n",
    "b.env": "B=2\nD=2\n",
  });
  assert.deepEqual(found["web"]?.environment, { A: "1", B: "2", C: "own" });
});

test("a variable in an env_file is of the process, then of environment, then of the files before it", async () => {
  const found = await services(
    {
      "compose.yaml":
        "services:\n  web:\n    image: x\n    env_file: [a.env, b.env]\n    environment: { HOST: own, PORT: 1 }\n",
      "a.env": "A=a\nPORT=2\nOWN=$PORT\n",
      "b.env": "B=${A}b\nC=$HOST\nD=$OWN\nPORT\n",
    },
    { env: { HOST: "box" } },
  );
  assert.deepEqual(found["web"]?.environment, {
    ...{ A: "a", PORT: "1", OWN: "1", B: "ab", C: "box", D: "1", HOST: "own" },
  });
});

test("env_file and tmpfs of several files, and of extends, come one after the other, in all their forms", async () => {
  const files = {
    "a.yaml": "services:\n  web: { image: x, env_file: a.env, tmpfs: /run }\n",
    "b.yaml": "services:\n  web: { env_file: [{ path: b.env }], tmpfs: [/tmp, /run] }\n",
    "c.yaml": "services:\n  web: { extends: { file: a.yaml, service: web }, env_file: b.env, tmpfs: /tmp }\n",
    "a.env": "A=1\nB=1\n",
    "b.env": "B=2\n",
  };
  for (const names of [["a.yaml", "b.yaml"], ["c.yaml"]]) {
    const { web } = await services(files, { files: names });
    assert.deepEqual(web?.environment, { A: "1", B: "2" }, String(names));
    assert.deepEqual(
      web?.mounts.map(({ path }) => path),
      ["/run", "/tmp"],
    );
  }
});

test("several files lie over each other by Compose's rules", async () => {
  const found = await services(
    {
      "a.yaml":
        "services:\n  web:\n    image: a\n    command: one\n    environment: [A=1, B=1]\n    expose: [80]\n    volumes: ['./a:/www', './l:/log']\n    depends_on: [db]\n    ports: ['80:80']\n  db: { image: db }\n",
      "b.yaml":
        "services:\n  web:\n    image: b\n    command: [two]\n    environment: { B: 2 }\n    expose: [80, 81]\n    volumes: ['./b:/www']\n    depends_on: { db: { condition: service_healthy } }\n    ports: ['81:81']\n",
    },
    { files: ["a.yaml", "b.yaml"] },
  );
  const { image, command, environment, exposed, mounts, dependsOn, published } = found[
    "web"
  ] as ComposeService;
  assert.deepEqual([image, command, environment], ["b", ["two"], { A: "1", B: "2" }]);
  assert.deepEqual(exposed, [tcp(80), tcp(81)]);
  assert.deepEqual(mounts, [bind("/work/shop/b", "/www", false), bind("/work/shop/l", "/log", false)]);
  assert.deepEqual(dependsOn, [{ service: "db", condition: "healthy", isRequired: true }]);
  assert.deepEqual(published, [at(80, 80), at(81, 81)]);
});

test("compose.override.yaml is taken by itself", async () => {
  const base = "services: { web: { image: a } }\n";
  const found = await load({
    "compose.yaml": base,
    "compose.override.yaml": "services: { web: { user: me } }\n",
  });
  assert.deepEqual([found.project.services[0]?.image, found.project.services[0]?.user], ["a", "me"]);
});

test("COMPOSE_FILE names the files, in the process or in .env", async () => {
  const files = {
    "a.yaml": "services: { web: { image: a } }\n",
    "b.yaml": "services: { web: { user: me } }\n",
  };
  const env = { COMPOSE_FILE: "a.yaml:b.yaml" };
  assert.deepEqual((await load(files, { env })).files, ["/work/shop/a.yaml", "/work/shop/b.yaml"]);
  const found = await services({ ...files, ".env": "COMPOSE_FILE=a.yaml:b.yaml\nHOST" });
  assert.deepEqual([found["web"]?.image, found["web"]?.user], ["a", "me"]);
});

test("extends takes a service of the file or of another, whose paths are relative to that", async () => {
  const found = await services({
    "compose.yaml":
      "services:\n  base: { image: x, environment: { A: 1, B: 1 }, volumes: ['./own:/own'] }\n  web:\n    extends: base\n    environment: [B=2]\n  other:\n    extends: { file: lib/common.yaml, service: leaf }\n    user: me\n",
    "lib/common.yaml":
      "services:\n  root: { image: root, volumes: ['./v:/v'] }\n  leaf: { extends: { service: root }, command: run }\n",
  });
  assert.deepEqual(found["web"]?.environment, { A: "1", B: "2" });
  const { image, command, user, mounts } = found["other"] as ComposeService;
  assert.deepEqual([image, command, user], ["root", ["run"], "me"]);
  assert.deepEqual(mounts, [bind("/work/shop/lib/v", "/v", false)]);
});

test("include brings services with their own folder and .env", async () => {
  const found = await services({
    "compose.yaml": "include: [db/compose.yaml]\nservices: { web: { image: x, depends_on: [db] } }\n",
    "db/compose.yaml":
      "services:\n  db: { image: 'db:$TAG', volumes: ['./v:/v', 'data:/data'] }\nvolumes: { data: }\n",
    "db/.env": "TAG=9\n",
  });
  assert.equal(found["db"]?.image, "db:9");
  assert.deepEqual(found["db"]?.mounts[0], bind("/work/shop/db/v", "/v", false));
});

test("anchors, aliases and merge keys are YAML's", async () => {
  const found = await services(
    "x-base: &base\n  image: x\n  environment: &env { A: 1 }\nservices:\n  web:\n    <<: *base\n    user: me\n  api:\n    <<: *base\n    environment:\n      <<: *env\n      B: 2\n",
  );
  assert.deepEqual([found["web"]?.image, found["web"]?.user], ["x", "me"]);
  assert.deepEqual(found["api"]?.environment, { A: "1", B: "2" });
});

describe("what is refused", () => {
  const one = (lines: string): string => `services:\n  web:\n    image: x\n${indented(lines)}\n`;
  const cases: readonly (readonly [string, Files | string, string])[] = [
    [
      "an unknown key",
      one("prots: ['80']"),
      'compose.yaml:4: services/web: unknown key "prots"\n  Did you mean "ports"?',
    ],
    [
      "an unknown key at the top",
      "servcies: {}\n",
      'compose.yaml:1: the file: unknown key "servcies"\n  Did you mean "services"?',
    ],
    [
      "a key of the rest of Compose",
      one("cap_add: [ALL]"),
      'compose.yaml:4: services/web: "cap_add" is not supported',
    ],
    [
      "an unknown key of build",
      "services:\n  web:\n    build: { contxt: . }\n",
      'compose.yaml:3: services/web/build: unknown key "contxt"\n  Did you mean "context"?',
    ],
    [
      "neither image nor build",
      "services:\n  web:\n    user: me\n",
      "compose.yaml:3: services/web: has neither image nor build",
    ],
    [
      "a version that is no text",
      "version: 3.8\nservices:\n  web: { image: x }\n",
      "compose.yaml:1: version: 3.8 should be a text",
    ],
    ["no services", "name: x\n", "compose.yaml:1: has no services"],
    [
      "a dependency to nowhere",
      one("depends_on: [bd]\n  db: { image: x }").replace("      db", "  db"),
      'services/web/depends_on: there is no service "bd"',
    ],
    [
      "a circle",
      "services:\n  a: { image: x, depends_on: [b] }\n  b: { image: x, depends_on: [a] }\n",
      "compose.yaml:2: services depend on each other in a circle: a → b → a",
    ],
    ["a dependency on itself", one("depends_on: [web]"), "in a circle: web → web"],
    [
      "a profile that is not chosen",
      "services:\n  a: { image: x, depends_on: [b] }\n  b: { image: x, profiles: [p] }\n",
      "b belongs to the profile p, which is not chosen",
    ],
    [
      "an undeclared network",
      `${one("networks: [frnt]")}networks: { front: }\n`,
      'services/web/networks: "frnt" is not declared under networks\n  Did you mean "front"?',
    ],
    [
      "an undeclared volume",
      one("volumes: ['data:/data']"),
      'services/web/volumes: "data" is not declared under volumes',
    ],
    ["a port that is none", one("ports: [abc]"), 'compose.yaml:4: services/web/ports: "abc" is no port'],
    ["a port beyond all", one("expose: [70000]"), 'compose.yaml:4: services/web/expose: "70000" is no port'],
    ["ranges that differ", one("ports: ['1-3:1-2']"), "has 3 ports for 2"],
    [
      "a duration that is none",
      one("stop_grace_period: soon"),
      'compose.yaml:4: services/web/stop_grace_period: "soon" is no duration',
    ],
    ["a number for a text", one("user: 1000"), "compose.yaml:4: services/web/user: 1000 should be a text"],
    [
      "a version for a text",
      "services:\n  web:\n    image: 1.10\n",
      "services/web/image: 1.1 should be a text",
    ],
    ["a truth for a text", one("restart: false"), "services/web/restart: false should be a text"],
    [
      "a number among variables",
      one("environment: [A=1, 5]"),
      "compose.yaml:4: should be a text like KEY=value",
    ],
    [
      "a date for a text",
      one("environment: { A: 2026-11-30 }"),
      "services/web/environment/A: 2026-11-30 means something else to each version of Compose\n  Write it in quotes.",
    ],
    ["no number", one("labels: { A: .inf }"), "services/web/labels/A: .inf means something else"],
    [
      "a key that is no text",
      one("environment: { 1.0: a }"),
      'compose.yaml:4: the key 1.0 should be a text\n  Write it in quotes: "1.0".',
    ],
    ["a tag that does not fit", one("environment: { A: !!int 1.5 }"), 'compose.yaml:4: "1.5" is no !!int'],
    ["bytes", one("environment: { A: !!binary aGk= }"), "compose.yaml:4: the tag !!binary is not supported"],
    ["a list for a text", one("user: [a]"), "compose.yaml:4: services/web/user: should be a text"],
    [
      "a condition that is none",
      one("depends_on: { db: { condition: healthy } }"),
      'unknown condition "healthy"',
    ],
    ["attempts of a restart", one("restart: on-failure:3"), "a number of attempts is not supported"],
    [
      "a required variable",
      one("user: ${WHO:?say who}"),
      "compose.yaml:4: the variable WHO is required: say who",
    ],
    ["a missing env file", one("env_file: none.env"), "compose.yaml:4: there is no file none.env"],
    [
      "a bad env file",
      { "compose.yaml": one("env_file: a.env"), "a.env": "A=1\n???\n" },
      'a.env:2: "???" is not KEY=value',
    ],
    [
      "a missing included file",
      "include: [no.yaml]\nservices: { a: { image: x } }\n",
      "compose.yaml:1: there is no file no.yaml",
    ],
    [
      "a service in two files",
      { "compose.yaml": `include: [b.yaml]\n${one("")}`, "b.yaml": one("") },
      'include: the service "web" is in both files',
    ],
    [
      "files that include each other",
      { "compose.yaml": `include: [b.yaml]\n${one("")}`, "b.yaml": "include: [compose.yaml]\n" },
      "include each other in a circle",
    ],
    ["extending nothing", one("extends: nobody"), 'extends: compose.yaml has no service "nobody"'],
    [
      "extending in a circle",
      "services:\n  a: { extends: b }\n  b: { extends: a }\n",
      "extend each other in a circle",
    ],
    ["a service's name", "services:\n  we b: { image: a }\n", 'compose.yaml:2: services: "we b" is no name'],
    [
      "a number in a command",
      one('command: ["node", 5]'),
      "compose.yaml:4: services/web/command: 5 should be a text",
    ],
    [
      "a host port twice",
      "services:\n  a: { image: a, ports: ['8080:80'] }\n  b:\n    image: b\n    ports: ['0.0.0.0:8080:81']\n",
      "compose.yaml:5: services/b/ports: port 8080 of this machine is published twice, by a for 80 and by b for 81",
    ],
    ["not YAML", "services:\n  web: [\n", "not YAML"],
    [
      "one key twice",
      "services:\n  web: { image: a }\n  web: { image: b }\n",
      "compose.yaml:3: not YAML: Map keys must be unique",
    ],
    ["a tag of Compose", one("ports: !reset []"), "compose.yaml:4: the tag !reset is not supported"],
    [
      "no file",
      {},
      "there is no compose.yaml, compose.yml, docker-compose.yaml, docker-compose.yml here or above",
    ],
  ];
  for (const [what, files, expected] of cases) {
    test(what, () =>
      assert.rejects(load(files), (error) => {
        assert.ok(error instanceof SlipwayError, String(error));
        const shown = `${error.where}: ${error.message}\n  ${error.hint}`;
        assert.ok(shown.includes(expected), shown);
        assert.equal(error.exitCode, 2);
        return true;
      }),
    );
  }
});

test("a folder stands for the files in it, and where only a file can be meant it is refused by name", async () => {
  const root = await mkdtemp(join(tmpdir(), "slipway-compose-folder-"));
  const read = (files: readonly string[]) => loadProject({ cwd: root, env: {}, files });
  try {
    await mkdir(join(root, "shop"));
    await assert.rejects(read(["shop"]), {
      code: "COMPOSE_FILE_MISSING",
      message: /folder without compose\.yaml/,
    });
    await writeFile(join(root, "shop/compose.yml"), "services: { web: { image: web } }\n");
    await writeFile(join(root, "shop/compose.override.yml"), "services: { api: { image: api } }\n");
    const { project } = await read(["shop"]);
    assert.deepEqual(
      project.services.map(({ name }) => name),
      ["web", "api"],
    );
    await writeFile(join(root, "all.yaml"), "include: [shop]\n");
    await assert.rejects(read(["all.yaml"]), { code: "COMPOSE_FILE_FOLDER", exitCode: 2 });
  } finally {
    await rm(root, { recursive: true });
  }
});
