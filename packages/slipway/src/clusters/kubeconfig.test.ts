import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { SlipwayError } from "@slipway/base";
import { dataOrFile, findContext, readKubeconfig } from "./kubeconfig.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-kubeconfig-"));
});
after(() => rm(folder, { recursive: true }));

const write = async (name: string, text: string): Promise<string> => {
  const path = join(folder, name);
  await mkdir(join(path, ".."), { recursive: true });
  await writeFile(path, text);
  return path;
};
const kubeconfigOf = (...paths: readonly string[]) => readKubeconfig({ KUBECONFIG: paths.join(delimiter) });
const one = (name: string, server: string): string => `
clusters: [{ name: ${name}, cluster: { server: "${server}", certificate-authority: ca.crt } }]
users: [{ name: ${name}, user: { token: from-${name} } }]
contexts: [{ name: ${name}, context: { cluster: ${name}, user: ${name} } }]
`;

describe("a kubeconfig", () => {
  it("is merged from several files: the first entry of a name counts, whole", async () => {
    const first = await write("one/config", one("tokyo", "https://first"));
    const second = await write(
      "two/config",
      `${one("tokyo", "https://second")}`.replace("cluster: { ", "cluster: { tls-server-name: x, "),
    );
    const third = await write("three/config", one("osaka", "https://third"));
    const kubeconfig = kubeconfigOf(first, join(folder, "absent"), second, third);
    const { cluster, user } = findContext(kubeconfig, "tokyo", "clusters/tokyo/context");
    assert.deepEqual(
      [cluster.server, cluster["tls-server-name"], user.token],
      ["https://first", undefined, "from-tokyo"],
    );
    assert.equal(findContext(kubeconfig, "osaka", "").cluster.server, "https://third");
  });

  it("names files relative to itself", async () => {
    const path = await write("relative/config", one("tokyo", "https://it"));
    await write("relative/ca.crt", "the authority");
    const { cluster } = findContext(kubeconfigOf(path), "tokyo", "");
    assert.equal(dataOrFile(cluster, undefined, cluster["certificate-authority"]), "the authority");
    assert.equal(dataOrFile(cluster, Buffer.from("inline").toString("base64"), "ca.crt"), "inline");
  });

  it("is ~/.kube/config when KUBECONFIG is not set", async () => {
    await write("home/.kube/config", one("tokyo", "https://home"));
    const kubeconfig = readKubeconfig({ HOME: join(folder, "home") });
    assert.equal(findContext(kubeconfig, "tokyo", "").cluster.server, "https://home");
  });

  const broken: readonly [what: string, text: string, code: string, message: RegExp][] = [
    ["another context", one("tokio", "https://it"), "KUBECONFIG_NO_CONTEXT", /no context "tokyo" in /],
    ["nothing", "", "KUBECONFIG_NO_CONTEXT", /no context "tokyo"/],
    ["no YAML", "a: [", "KUBECONFIG_INVALID", /./],
    ["a list", "- a", "KUBECONFIG_INVALID", /is not a mapping/],
    ["entries without names", "users: [{ user: {} }]", "KUBECONFIG_INVALID", /users should be a list/],
    [
      "a cluster that is not there",
      "contexts: [{ name: tokyo, context: { cluster: gone } }]",
      "KUBECONFIG_INVALID",
      /names cluster "gone", which is not there/,
    ],
    ["a server that is no URL", one("tokyo", "tokyo"), "KUBECONFIG_INVALID", /"tokyo", which is no URL/],
    [
      "a user that is not there",
      one("tokyo", "https://it").replace("user: tokyo", "user: gone"),
      "KUBECONFIG_INVALID",
      /names user "gone", which is not there/,
    ],
  ];
  for (const [index, [what, text, code, message]] of broken.entries()) {
    it(`with ${what} is refused, and says how`, async () => {
      const path = await write(`broken-${index}/config`, text);
      assert.throws(
        () => findContext(kubeconfigOf(path), "tokyo", "clusters/tokyo/context"),
        (error) =>
          error instanceof SlipwayError &&
          error.code === code &&
          message.test(error.message) &&
          error.exitCode === 3,
      );
    });
  }

  it("that names a missing file says which", async () => {
    const path = await write("missing/config", one("tokyo", "https://it"));
    const { cluster } = findContext(kubeconfigOf(path), "tokyo", "");
    assert.throws(
      () => dataOrFile(cluster, undefined, "gone.crt"),
      /gone\.crt, which cannot be read \(ENOENT\)/,
    );
  });
});
