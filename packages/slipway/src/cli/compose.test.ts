import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { seededRandom, systemClock } from "@slipway/base";
import { context as inKubeconfig } from "../config/define.ts";
import { parseConfig } from "../config/load.ts";
import { resolveConfig } from "../config/resolve.ts";
import type { Target } from "../release/model.ts";
import { worldPaths } from "../world/state.ts";
import type { CliContext } from "./command.ts";
import { targetsOf } from "./compose.ts";

const KUBECONFIG = `
apiVersion: v1
kind: Config
clusters: [{ name: gke, cluster: { server: "https://34.84.1.2" } }]
users: [{ name: me, user: { token: t } }]
contexts: [{ name: gke_shop, context: { cluster: gke, user: me } }]
`;

const uid = "7f3a9c12-5b1e-4c55-9d0a-2f6f4f6f0b11";

/** The clients of a production of these clusters, with the kubeconfig above. */
async function targetsIn(
  t: TestContext,
  clusters: Readonly<Record<string, ReturnType<typeof inKubeconfig>>>,
): Promise<readonly Target[]> {
  const root = await mkdtemp(join(tmpdir(), "slipway-compose-"));
  t.after(() => rm(root, { recursive: true }));
  const kubeconfig = join(root, "kubeconfig");
  await writeFile(kubeconfig, KUBECONFIG);
  const file = "slipway.config.ts";
  const parsed = parseConfig(file, {
    ...{ name: "shop", manifests: ["k8s/"] },
    environments: { production: { clusters, registry: "r.example.com/shop" } },
  });
  const resolved = resolveConfig(parsed, { root, file, environment: "production", env: {} });
  const context: CliContext = {
    ...{ cwd: root, env: { KUBECONFIG: kubeconfig }, clock: systemClock, random: seededRandom(1) },
    ...{ signal: new AbortController().signal, isTerminal: false, columns: 80 },
    write: () => undefined,
    writeError: () => undefined,
  };
  const targets = await targetsOf(context, { config: resolved.config, resolved, paths: worldPaths(root) });
  for (const { client } of targets) await client.close();
  return targets;
}

test("a target knows where the configuration names it, and what it is pinned to", async (t) => {
  const [target] = await targetsIn(t, { tokyo: inKubeconfig("gke_shop", { uid }) });
  assert.equal(target?.place, "context gke_shop at https://34.84.1.2");
  assert.deepEqual(target?.written, {
    where: "slipway.config.ts/environments/production/clusters/tokyo",
    context: "gke_shop",
    pin: uid,
  });
});

test("a context that is not in the kubeconfig is a cluster that cannot be asked, and stops nothing alone", async (t) => {
  const targets = await targetsIn(t, { tokyo: inKubeconfig("gke_shop"), osaka: inKubeconfig("gke_shpo") });
  const osaka = targets.find(({ name }) => name === "osaka");
  assert.equal(osaka?.place, "context gke_shpo");
  await assert.rejects(osaka?.client.version() ?? Promise.resolve(), {
    code: "KUBECONFIG_NO_CONTEXT",
    where: "clusters/osaka/context",
    hint: 'Did you mean "gke_shop"? Known: gke_shop.',
  });
  await assert.rejects(targetsIn(t, { osaka: inKubeconfig("gke_shpo") }), { code: "KUBECONFIG_NO_CONTEXT" });
});
