import assert from "node:assert/strict";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createRegistryClient } from "./client.ts";
import { dockerCredentials } from "./credentials.ts";

let folder: string;

/** A helper as Docker runs them: `docker-credential-vault get`, the registry on its standard input. */
const HELPER = `#!/bin/sh
read registry
case "$registry" in
  helped.example) echo '{"ServerURL":"helped.example","Username":"ann","Secret":"from-helper"}' ;;
  https://index.docker.io/v1/) echo '{"Username":"hub","Secret":"pw"}' ;;
  token.example) echo '{"Username":"<token>","Secret":"refresh-me"}' ;;
  mute.example) echo 'nonsense secret' ;;
  broken.example) echo 'the vault is sealed' >&2; exit 1 ;;
  *) echo 'credentials not found in native keychain'; exit 1 ;;
esac
`;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-credentials-"));
  await writeFile(join(folder, "docker-credential-vault"), HELPER);
  await chmod(join(folder, "docker-credential-vault"), 0o755);
});
after(() => rm(folder, { recursive: true, force: true }));

async function find(config: object, registry: string): ReturnType<ReturnType<typeof dockerCredentials>> {
  await writeFile(join(folder, "config.json"), JSON.stringify(config));
  return dockerCredentials({ DOCKER_CONFIG: folder, PATH: `${folder}:${process.env["PATH"]}` })(registry);
}

const basic = (username: string, password: string) => ({ kind: "basic", username, password });
const base64 = (text: string): string => Buffer.from(text).toString("base64");

test("what docker login left behind is found, wherever it put it", async () => {
  const auths = { "helped.example": { auth: base64("old:pw") } };
  const table: readonly [what: string, config: object, registry: string, found: unknown][] = [
    ["a pair", { auths }, "helped.example", basic("old", "pw")],
    ["a password with a colon", { auths: { r: { auth: base64("a:b:c") } } }, "r", basic("a", "b:c")],
    ["under its URL", { auths: { "https://r": { auth: base64("a:b") } } }, "r", basic("a", "b")],
    ["in plain words", { auths: { r: { username: "a", password: "b" } } }, "r", basic("a", "b")],
    [
      "an identity token",
      { auths: { r: { auth: base64("a:"), identitytoken: "t" } } },
      "r",
      { kind: "identity", token: "t" },
    ],
    [
      "Docker Hub under its old name",
      { auths: { "https://index.docker.io/v1/": { auth: base64("a:b") } } },
      "docker.io",
      basic("a", "b"),
    ],
    [
      "a helper of the registry before its pair",
      { auths, credHelpers: { "helped.example": "vault" } },
      "helped.example",
      basic("ann", "from-helper"),
    ],
    [
      "Docker Hub's helper",
      { credHelpers: { "https://index.docker.io/v1/": "vault" } },
      "docker.io",
      basic("hub", "pw"),
    ],
    ["the store", { credsStore: "vault" }, "helped.example", basic("ann", "from-helper")],
    [
      "a token of the store",
      { credsStore: "vault" },
      "token.example",
      { kind: "identity", token: "refresh-me" },
    ],
    ["nothing in the store", { credsStore: "vault" }, "unknown.example", undefined],
    ["nothing at all", {}, "r", undefined],
  ];
  for (const [what, config, registry, found] of table)
    assert.deepEqual(await find(config, registry), found, what);
});

test("a helper that fails, is missing or says nothing useful is an error that shows no secret", async () => {
  const failing = (registry: string, helper: string) =>
    find({ credHelpers: { [registry]: helper } }, registry);
  await assert.rejects(failing("broken.example", "vault"), {
    code: "REGISTRY_CREDENTIALS_FAILED",
    message: /sealed/,
  });
  await assert.rejects(failing("r", "nowhere"), {
    code: "REGISTRY_CREDENTIALS_FAILED",
    where: "docker-credential-nowhere",
  });
  await assert.rejects(failing("mute.example", "vault"), (error: Error) => !/nonsense/.test(error.message));
  await writeFile(join(folder, "config.json"), "{");
  await assert.rejects(dockerCredentials({ DOCKER_CONFIG: folder })("r"), {
    code: "REGISTRY_CREDENTIALS_INVALID",
  });
});

test("tokens are kept by scope, and an identity token is exchanged for them", async () => {
  const asked: string[] = [];
  const server = createServer((incoming, outgoing) => {
    const { host, authorization } = incoming.headers;
    if (incoming.url === "/token") {
      let form = "";
      incoming.setEncoding("utf8").on("data", (text: string) => {
        form += text;
      });
      incoming.on("end", () => {
        const wanted = new URLSearchParams(form);
        assert.equal(wanted.get("grant_type"), "refresh_token");
        assert.equal(wanted.get("refresh_token"), "refresh-me");
        asked.push(wanted.get("scope") ?? "");
        outgoing.end(JSON.stringify({ access_token: `for ${wanted.get("scope")}` }));
      });
      return;
    }
    const repository = /^\/v2\/(.+)\/manifests\//.exec(incoming.url ?? "")?.[1];
    const scope = `repository:${repository}:pull`;
    if (authorization === `Bearer for ${scope}`) return void outgoing.writeHead(404).end();
    outgoing
      .writeHead(401, {
        "www-authenticate": `Bearer realm="http://${host}/token",service="s",scope="${scope}"`,
      })
      .end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = createRegistryClient({
    credentials: () => Promise.resolve({ kind: "identity", token: "refresh-me" }),
  });
  try {
    for (const name of ["shop/web", "shop/api", "shop/web"]) {
      assert.equal(await client.head(`${host}/${name}:v1`), undefined);
    }
    assert.deepEqual(asked, ["repository:shop/web:pull", "repository:shop/api:pull"]);
  } finally {
    await client.close();
    server.closeAllConnections();
    server.close();
  }
});

test("a password that is refused is refused once, not tried again", async () => {
  let tries = 0;
  const server = createServer((_incoming, outgoing) => {
    tries += 1;
    outgoing.writeHead(401, { "www-authenticate": 'Basic realm="r"' }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = createRegistryClient({
    credentials: () => Promise.resolve({ kind: "basic", username: "ann", password: "wrong" }),
  });
  try {
    await assert.rejects(client.head(`${host}/shop/web:v1`), { code: "REGISTRY_DENIED", exitCode: 3 });
    assert.equal(tries, 2);
  } finally {
    await client.close();
    server.closeAllConnections();
    server.close();
  }
});
