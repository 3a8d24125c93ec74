/** From v1 to v2 and back, with everything a person asks on the way. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { ConfigMap, Deployment } from "@slipway/kube";
import { commitRelease, jsonLines, type Project, smallShop } from "./testing.ts";

let project: Project;

const settings = (greeting: string): string =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  greeting: ${greeting}\n`;

before(async () => {
  project = await smallShop();
  await project.write("k8s/settings.yaml", settings("hello"));
  await project.edit(
    "k8s/web.yaml",
    "          env:\n",
    "          envFrom: [{ configMapRef: { name: settings } }]\n          env:\n",
  );
  await project.commit("v1: with settings");
});
after(() => project.remove());

const served = async (): Promise<string> =>
  (JSON.parse((await project.get("/")).body) as { release: string }).release;

interface Record {
  readonly number: number;
  readonly kind: string;
  readonly outcome: string;
  readonly version: { readonly commit: string; readonly dirty: boolean };
}
const history = async (): Promise<Record[]> =>
  JSON.parse((await project.ok("history", "--json")).stdout) as Record[];

/** The greeting in the ConfigMap that the pods of web really use, whatever it is called in this release. */
async function greetingInUse(): Promise<string | undefined> {
  const client = await project.client("tokyo");
  try {
    const web = await client.get<Deployment>({
      apiVersion: "apps/v1",
      kind: "Deployment",
      namespace: "default",
      name: "web",
    });
    const name = web.spec.template.spec.containers[0]?.envFrom?.[0]?.configMapRef?.name as string;
    const map = await client.get<ConfigMap>({
      apiVersion: "v1",
      kind: "ConfigMap",
      namespace: "default",
      name,
    });
    return map.data?.["greeting"];
  } finally {
    await client.close();
  }
}

test("--dry-run starts no world, and of the first release it plans everything and changes nothing", async () => {
  assert.match(
    (await project.ok("ship", "--dry-run")).stdout,
    /would start the local world \(tokyo, osaka\), push .*\bweb\b.* and deploy[\s\S]*slipway local up/,
  );
  assert.match((await project.fails(3, "deploy", "--dry-run")).stderr, /is not running\n.*slipway local up/);
  await project.ok("local", "up");
  const { stdout } = await project.ok("ship", "--dry-run");
  assert.match(stdout, /\+ .*Deployment.*web/);
  assert.deepEqual(await history(), []);
});

test("a rollback without any release says that there is none", async () => {
  const { stderr } = await project.fails(2, "rollback");
  assert.match(stderr, /^slipway: rollback: nothing was released here yet/);
});

test("v1, then v2 with another setting", async () => {
  await project.ok("ship");
  assert.equal(await served(), "v1");
  assert.equal(await greetingInUse(), "hello");
  await project.write("k8s/settings.yaml", settings("welcome"));
  await commitRelease(project, "v2");
  const planned = await project.ok("ship", "--dry-run");
  assert.match(planned.stdout, /settings/);
  assert.equal((await history()).length, 1, "a dry run is no release");
  assert.equal(await served(), "v1");
  await project.ok("ship");
  assert.equal(await served(), "v2");
  assert.equal(await greetingInUse(), "welcome");
});

test("status, history and logs tell what runs", async () => {
  const commit = (await project.git("rev-parse", "HEAD")).slice(0, 12);
  const status = (await project.ok("status")).stdout;
  assert.match(status, new RegExp(`newest release: 2 healthy, ${commit} v2`));
  assert.match(status, /^tokyo +2 +web +1\/1/m);
  const [report] = jsonLines(await project.ok("status", "--json"));
  assert.partialDeepStrictEqual(report, { service: "shop", environment: "local", newest: { number: 2 } });
  assert.match(
    (await project.ok("history")).stdout,
    /^2 +\S+ +healthy +[0-9a-f]{12} +v2 .*tokyo: healthy, osaka: healthy/m,
  );
  assert.match(
    (await project.ok("logs", "web")).stdout,
    /^(tokyo|osaka) web-\S+ {2}web v2 listens on 8080$/m,
  );
  for (const line of jsonLines(await project.ok("logs", "--cluster", "osaka", "--json")))
    assert.equal(line["cluster"], "osaka");
  assert.match(
    (await project.fails(2, "logs", "--cluster", "kyoto")).stderr,
    /no such cluster.*\n.*tokyo, osaka/,
  );
});

test("logs -f goes on with lines that come later, until it is interrupted", async () => {
  const follow = project.start("logs", "web", "-f");
  await follow.sees("web v2 listens");
  await project.get("/?from=the-story");
  await follow.sees("/?from=the-story");
  follow.child.kill("SIGINT");
  const { code, stderr } = await follow.ended;
  assert.deepEqual([code, stderr], [0, ""]);
});

test("rollback --dry-run says where it would go and stays", async () => {
  const { stdout } = await project.ok("rollback", "--dry-run");
  assert.match(stdout, /^rollback of shop \(local\) in tokyo, osaka$/m);
  assert.match(stdout, /^ {2}from {2}release 2 .* v2, .* ago, by story\)$/m);
  assert.match(stdout, /^ {2}to {4}release 1 /m);
  assert.match(stdout, /^ {2}~ Deployment web\n {6}image web: shop\/web:\S+ -> shop\/web:/m);
  assert.match(stdout, /^ {2}takes about .*, as releases 2, 1 did$/m);
  assert.equal((await history()).length, 2);
});

test("rollback without an argument goes back to v1, settings included", async () => {
  const { stdout } = await project.ok("rollback");
  assert.match(stdout, /release 2 was taken back to 1/);
  assert.equal(await served(), "v1");
  assert.equal(await greetingInUse(), "hello");
});

test("a second rollback does not go forward to what was just left", async () => {
  const { stderr } = await project.fails(2, "rollback");
  assert.match(stderr, /what runs now is a rollback already \(release 3, of 2 to 1\)/);
  assert.match(stderr, /Forward to what was left: slipway rollback 2\./);
  assert.equal(await served(), "v1");
});

test("what is held is shipped again only when asked for", async () => {
  const { stderr } = await project.fails(1, "ship");
  assert.match(stderr, /held/);
  assert.match(stderr, /--allow-held/);
  assert.equal((await history()).length, 3);
  await project.ok("ship", "--allow-held");
  assert.equal(await served(), "v2");
});

test("a dirty tree ships to the local world as such", async () => {
  await project.write("web/release.txt", "v2-try\n");
  await project.ok("ship");
  const [newest] = await history();
  assert.equal(newest?.version.dirty, true);
  assert.match((await project.ok("status")).stdout, /web:[0-9a-f]{12}-dirty@/);
  assert.equal(await served(), "v2-try");
});

test("elsewhere a dirty tree is refused before anything is built", async () => {
  const { stderr } = await project.fails(2, "ship", "--env", "production");
  assert.match(stderr, /has changes that are not committed/);
  assert.match(stderr, /--allow-dirty/);
});

test("config show tells each value of an environment with its source", async () => {
  const local = (await project.ok("config", "show")).stdout;
  assert.match(local, /release\.bake +0 +slipway\.config\.ts \(environments\.local\)/);
  const production = (await project.ok("config", "show", "--env", "production")).stdout;
  assert.match(production, /release\.bake +1m +slipway\.config\.ts$/m);
  assert.match(production, /gke_shop_asia-northeast1/);
  assert.doesNotMatch(production, /k8s\/local/);
  const { stderr } = await project.fails(2, "config", "show", "--env", "prodution");
  assert.match(stderr, /Did you mean "production"\?/);
});

test("patches of the environment are in what runs", async () => {
  const client = await project.client("osaka");
  const web = await client.get<Deployment>({
    apiVersion: "apps/v1",
    kind: "Deployment",
    namespace: "default",
    name: "web",
  });
  await client.close();
  assert.equal(web.spec.replicas, 1);
  assert.equal(web.spec.template.spec.containers[0]?.lifecycle?.preStop, undefined);
  assert.equal(web.spec.template.spec.containers[0]?.readinessProbe?.periodSeconds, 1);
});
