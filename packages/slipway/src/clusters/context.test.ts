/** Contexts against a real API server, through real programs, proxies, certificates and an OpenID provider. */
import assert from "node:assert/strict";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer as createHttpServer, type Server } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, connect, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { type Clock, SlipwayError, seededRandom, systemClock } from "@slipway/base";
import { type Cluster, ensureCertificates, issueClientCertificate, startCluster } from "@slipway/cluster";
import { isReason, type KubeClient } from "@slipway/kube";
import { openContext } from "./context.ts";
import { readKubeconfig } from "./kubeconfig.ts";

let cluster: Cluster;
let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-context-"));
  cluster = await startCluster({ name: "tokyo", directory: join(folder, "cluster") });
});
after(async () => {
  await cluster.stop();
  await rm(folder, { recursive: true });
});
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

interface Setup {
  readonly user?: Record<string, unknown>;
  readonly cluster?: Record<string, unknown>;
  readonly env?: NodeJS.ProcessEnv;
  readonly clock?: Clock;
  readonly timeoutMs?: number;
  readonly isTerminal?: boolean;
}

let kubeconfigs = 0;
async function contextWith(setup: Setup): Promise<{ readonly client: KubeClient; readonly path: string }> {
  kubeconfigs += 1;
  const path = join(folder, `config-${kubeconfigs}`);
  const ca = Buffer.from(cluster.ca).toString("base64");
  const text = {
    clusters: [
      { name: "c", cluster: { server: cluster.url, "certificate-authority-data": ca, ...setup.cluster } },
    ],
    users: [{ name: "u", user: setup.user ?? { token: cluster.token } }],
    contexts: [{ name: "gke_tokyo", context: { cluster: "c", user: "u" } }],
  };
  await writeFile(path, JSON.stringify(text));
  const { client } = await openContext("tokyo", "gke_tokyo", readKubeconfig({ KUBECONFIG: path }), {
    env: { ...process.env, ...setup.env },
    clock: setup.clock ?? systemClock,
    random: seededRandom(1),
    isTerminal: setup.isTerminal ?? false,
    ...(setup.timeoutMs === undefined ? {} : { timeoutMs: setup.timeoutMs }),
  });
  closers.push(() => client.close());
  return { client, path };
}

const NAMESPACES = { apiVersion: "v1", kind: "Namespace" };
async function works(setup: Setup): Promise<void> {
  const { client } = await contextWith(setup);
  const { items } = await client.list(NAMESPACES);
  assert.ok(items.some(({ metadata }) => metadata.name === "kube-system"));
}

/** A program that writes down how it was called and then does `body`. */
async function program(name: string, body: string): Promise<{ path: string; calls(): Promise<string[]> }> {
  const path = join(folder, name);
  const log = `${path}.calls`;
  await writeFile(
    path,
    `#!/bin/sh\nprintf '%s\\n' "$*|$ACCOUNT|$KUBERNETES_EXEC_INFO" >> '${log}'\n${body}\n`,
  );
  await chmod(path, 0o755);
  return {
    path,
    calls: async () =>
      (await readFile(log, "utf8").catch(() => "")).split("\n").filter((line) => line !== ""),
  };
}

const V1 = "client.authentication.k8s.io/v1";
const credential = (status: Record<string, string>, apiVersion = V1): string =>
  `cat <<'END'\n${JSON.stringify({ apiVersion, kind: "ExecCredential", status })}\nEND`;
const isCode = (code: string, message: RegExp, hint: RegExp) => (error: unknown) => {
  assert.ok(error instanceof SlipwayError, String(error));
  assert.deepEqual([error.code, error.where, error.exitCode], [code, "clusters/tokyo/context", 3]);
  assert.match(error.message, message);
  assert.match(error.hint ?? "", hint);
  return true;
};

describe("a context's credentials", () => {
  it("may be a token, a file with one, or a password beside it", async () => {
    await works({});
    await writeFile(join(folder, "token"), `${cluster.token}\n`);
    await works({ user: { tokenFile: "token", token: "the file counts" } });
    const { client } = await contextWith({ user: { username: "aki", password: "x" } });
    await assert.rejects(client.list(NAMESPACES), (error) => isReason(error, "Unauthorized"));
  });

  it("are read again from a token file that was rewritten, after a 401", async () => {
    await writeFile(join(folder, "token"), "old");
    const { client } = await contextWith({ user: { tokenFile: "token" } });
    await assert.rejects(client.list(NAMESPACES), (error) => isReason(error, "Unauthorized"));
    await writeFile(join(folder, "token"), cluster.token);
    await client.list(NAMESPACES);
  });

  it("may be a client certificate, in data or in files", async () => {
    const read = (name: string): Promise<string> => readFile(join(folder, "cluster/pki", name), "utf8");
    const authority = { certificate: await read("ca.crt"), key: await read("ca.key") };
    const { certificate, key } = issueClientCertificate(authority, "aki", Date.now());
    const data = (text: string): string => Buffer.from(text).toString("base64");
    await works({ user: { "client-certificate-data": data(certificate), "client-key-data": data(key) } });
    await writeFile(join(folder, "aki.crt"), certificate);
    await writeFile(join(folder, "aki.key"), key);
    await works({ user: { "client-certificate": "aki.crt", "client-key": "aki.key" } });
    const plugin = await program(
      "certificate-plugin",
      credential({ clientCertificateData: certificate, clientKeyData: key }),
    );
    await works({ user: { exec: { apiVersion: V1, command: plugin.path } } });
    await ensureCertificates({ name: "other", directory: join(folder, "other"), now: Date.now() });
    const otherKey = await readFile(join(folder, "other/pki/ca.key"), "utf8");
    const otherCa = await readFile(join(folder, "other/pki/ca.crt"), "utf8");
    const forged = issueClientCertificate({ certificate: otherCa, key: otherKey }, "aki", Date.now());
    const { client } = await contextWith({
      user: { "client-certificate-data": data(forged.certificate), "client-key-data": data(forged.key) },
    });
    await assert.rejects(client.list(NAMESPACES), (error) => isReason(error, "Unauthorized"));
  });

  it("carry whom the request is made for", async () => {
    let seen: unknown;
    const server = createHttpServer((request, response) => {
      const { headers } = request;
      seen = [headers["impersonate-user"], headers["impersonate-group"], headers["impersonate-extra-scope"]];
      response.end("{}");
    });
    const user = { as: "aki", "as-groups": ["dev", "ops"], "as-user-extra": { scope: ["x"] } };
    const { client } = await contextWith({ user, cluster: { server: await listen(server) } });
    await client.version();
    assert.deepEqual(seen, ["aki", "dev, ops", "x"]);
  });
});

describe("a credential plugin", () => {
  it("is run once for as long as its token is good, with its arguments and environment", async () => {
    const expirationTimestamp = new Date(Date.now() + 3_600_000).toISOString();
    const plugin = await program("gke-plugin", credential({ token: cluster.token, expirationTimestamp }));
    let now = Date.now();
    const clock: Clock = { ...systemClock, now: () => now };
    const exec = {
      apiVersion: V1,
      command: "gke-plugin",
      args: ["get", "a b"],
      env: [{ name: "ACCOUNT", value: "aki" }],
      provideClusterInfo: true,
    };
    const extensions = [{ name: "client.authentication.k8s.io/exec", extension: { audience: "x" } }];
    const { client } = await contextWith({
      user: { exec },
      cluster: { extensions },
      env: { PATH: `${folder}:${process.env["PATH"]}` },
      clock,
    });
    await Promise.all([client.list(NAMESPACES), client.list(NAMESPACES), client.version()]);
    const [call, ...more] = await plugin.calls();
    assert.deepEqual(more, []);
    const [args, account, ...info] = (call ?? "").split("|");
    assert.deepEqual([args, account], ["get a b", "aki"]);
    const { spec, apiVersion } = JSON.parse(info.join("|"));
    assert.equal(apiVersion, V1);
    assert.equal(spec.interactive, false);
    assert.deepEqual([spec.cluster.server, spec.cluster.config], [cluster.url, { audience: "x" }]);
    assert.equal(Buffer.from(spec.cluster["certificate-authority-data"], "base64").toString(), cluster.ca);
    now += 3_595_000;
    await client.list(NAMESPACES);
    assert.equal((await plugin.calls()).length, 2, "a token that is about to end is renewed before it does");
  });

  it("is run again when the server refuses a token before its time, once", async () => {
    const plugin = await program(
      "rotating-plugin",
      `if [ "$(wc -l < '${join(folder, "rotating-plugin.calls")}')" -gt 1 ]; then\n${credential({ token: cluster.token })}\nelse\n${credential({ token: "revoked" })}\nfi`,
    );
    const { client } = await contextWith({ user: { exec: { apiVersion: V1, command: plugin.path } } });
    await Promise.all([client.list(NAMESPACES), client.list(NAMESPACES)]);
    assert.equal((await plugin.calls()).length, 2);
  });

  it("that goes on giving a bad token is not asked for ever", async () => {
    const plugin = await program("bad-plugin", credential({ token: "bad" }));
    const { client } = await contextWith({ user: { exec: { apiVersion: V1, command: plugin.path } } });
    await assert.rejects(client.list(NAMESPACES), (error) => isReason(error, "Unauthorized"));
    assert.equal((await plugin.calls()).length, 2);
  });

  it("in v1beta1 is understood, by a path relative to the kubeconfig", async () => {
    const apiVersion = "client.authentication.k8s.io/v1beta1";
    await program("beta-plugin", credential({ token: cluster.token }, apiVersion));
    await works({ user: { exec: { apiVersion, command: "./beta-plugin", args: null, env: null } } });
  });

  const failures: readonly [what: string, body: string, exec: object, message: RegExp, hint: RegExp][] = [
    [
      "that fails",
      "echo 'Reauthentication required.' >&2; echo 'Run gcloud auth login' >&2; exit 3",
      {
        args: ["get", "a b"],
        env: [
          { name: "ACCOUNT", value: "aki" },
          { name: "API_TOKEN", value: "hush" },
        ],
      },
      /ended with exit code 3:\n {2}\| Reauthentication required\.\n {2}\| Run gcloud auth login$/,
      /^Try it: ACCOUNT=aki API_TOKEN=… \S+ get 'a b'$/,
    ],
    ["that prints something else", "echo hello", {}, /did not print an ExecCredential as JSON$/, /^Try it: /],
    ["that gives nothing", credential({}), {}, /gave neither a token nor a client certificate/, /^Try it: /],
    [
      "that gives half a certificate",
      credential({ clientCertificateData: "x" }),
      {},
      /one half of a client certificate/,
      /^Try it: /,
    ],
    [
      "that answers in another version",
      credential({ token: "x" }, "client.authentication.k8s.io/v1beta1"),
      {},
      /answered in client\.authentication\.k8s\.io\/v1beta1, but client\.authentication\.k8s\.io\/v1 is configured/,
      /^Try it: /,
    ],
    [
      "that wants a person",
      "",
      { interactiveMode: "Always" },
      /wants to ask a person, and there is no terminal/,
      /^Log in first: /,
    ],
    [
      "of a version that is gone",
      "",
      { apiVersion: "client.authentication.k8s.io/v1alpha1" },
      /v1alpha1, which is no longer in use/,
      /Update the plugin/,
    ],
  ];
  for (const [index, [what, body, exec, message, hint]] of failures.entries()) {
    it(`${what} is an error that says so`, async () => {
      const plugin = await program(`failing-${index}`, body);
      const { client } = await contextWith({
        user: { exec: { apiVersion: V1, command: plugin.path, ...exec } },
      });
      await assert.rejects(client.version(), isCode("CREDENTIALS_PLUGIN", message, hint));
    });
  }

  it("that hangs is ended", async () => {
    const plugin = await program("hanging", "echo thinking >&2; sleep 60");
    const { client } = await contextWith({
      user: { exec: { apiVersion: V1, command: plugin.path } },
      timeoutMs: 300,
    });
    const message = /did not end within 300 ms/;
    await assert.rejects(client.version(), isCode("CREDENTIALS_PLUGIN", message, /^Try it: /));
  });

  it("that says much is quoted with its first lines and its last", async () => {
    const plugin = await program(
      "talking",
      "for i in $(seq 1 20); do echo line $i >&2; done; echo >&2; exit 1",
    );
    const { client } = await contextWith({ user: { exec: { apiVersion: V1, command: plugin.path } } });
    const quoted =
      /: *\n {2}\| line 1\n(?: {2}\| line [234]\n){3} {2}\| …\n {2}\| line 15\n[\s\S]*\| line 20$/;
    await assert.rejects(client.version(), isCode("CREDENTIALS_PLUGIN", quoted, /^Try it: /));
  });

  it("that is not installed is told with the kubeconfig's own hint", async () => {
    const exec = { apiVersion: V1, command: "gke-gcloud-auth-plugin-that-is-not-there" };
    const own = { ...exec, installHint: "Install it with gcloud components install.\n" };
    for (const [plugin, hint] of [
      [exec, /^Install it, and see that it is in PATH\.$/],
      [own, /^Install it with gcloud components install\.$/],
    ] as const) {
      const { client } = await contextWith({ user: { exec: plugin } });
      const message = /the credential plugin gke-gcloud-auth-plugin-that-is-not-there is not installed/;
      await assert.rejects(client.version(), isCode("CREDENTIALS_PLUGIN", message, hint));
    }
  });
});

async function listen(server: {
  listen: Server["listen"];
  address: Server["address"];
  close: Server["close"];
}): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  closers.push(() => {
    (server as Partial<Server>).closeAllConnections?.();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe("the way to a context's server", () => {
  /** Tunnels every CONNECT to the cluster, whatever name was asked for: names of the internet do not resolve here. */
  const connectProxy = async (): Promise<{ readonly url: string; readonly seen: string[] }> => {
    const seen: string[] = [];
    const server = createHttpServer((_request, response) => response.writeHead(405).end());
    server.on("connect", (request, socket) => {
      seen.push(`${request.url} ${request.headers["proxy-authorization"] ?? "-"}`);
      const { port } = new URL(cluster.url);
      const through = connect(Number(port), "127.0.0.1", () => {
        socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
        through.pipe(socket).pipe(through);
      });
      through.on("error", () => socket.destroy());
      socket.on("error", () => through.destroy());
      closers.push(() => through.destroy());
    });
    return { url: await listen(server), seen };
  };

  it("goes through proxy-url, with its password", async () => {
    const { url, seen } = await connectProxy();
    await works({ cluster: { "proxy-url": url.replace("//", "//aki:secret@") } });
    const basic = Buffer.from("aki:secret").toString("base64");
    assert.deepEqual(seen, [`${new URL(cluster.url).host} Basic ${basic}`]);
  });

  it("goes through HTTPS_PROXY, but not where NO_PROXY says so", async () => {
    const { url, seen } = await connectProxy();
    const server = `https://kubernetes.default.svc:${new URL(cluster.url).port}`;
    await works({ cluster: { server }, env: { HTTPS_PROXY: url } });
    assert.equal(seen.length, 1);
    await works({ env: { HTTPS_PROXY: url } });
    const { client } = await contextWith({
      cluster: { server },
      env: { HTTPS_PROXY: url, NO_PROXY: "default.svc" },
    });
    await assert.rejects(client.version(), /cannot reach https:\/\/kubernetes\.default\.svc/);
    assert.equal(seen.length, 1);
  });

  it("names the proxy, without its password, when it is the one that does not answer", async () => {
    const { client } = await contextWith({ cluster: { "proxy-url": "http://aki:secret@127.0.0.1:1" } });
    await assert.rejects(client.version(), (error: Error) => {
      assert.match(error.message, /through http:\/\/127\.0\.0\.1:1: /);
      assert.doesNotMatch(error.message, /secret/);
      return true;
    });
  });

  it("goes through SOCKS", async () => {
    let tunnels = 0;
    const server = createTcpServer((socket) => {
      // RFC 1928: a greeting, answered with "no authentication"; a request, answered with "succeeded".
      socket.once("data", () => {
        socket.write(Buffer.of(5, 0));
        socket.once("data", () => {
          tunnels += 1;
          const through = connect(Number(new URL(cluster.url).port), "127.0.0.1", () => {
            socket.write(Buffer.of(5, 0, 0, 1, 127, 0, 0, 1, 0, 0));
            through.pipe(socket).pipe(through);
          });
          closers.push(() => through.destroy());
        });
      });
      socket.on("error", () => undefined);
    });
    const url = (await listen(server as unknown as Server)).replace("http:", "socks5:");
    await works({ cluster: { "proxy-url": url } });
    assert.equal(tunnels, 1);
  });

  it("trusts the cluster's authority alone, for the name that is said, unless told not to look", async () => {
    const other = await ensureCertificates({ name: "other", now: Date.now() });
    const otherCa = Buffer.from(other.ca).toString("base64");
    const forwarding = createTcpServer((socket) => {
      const through = connect(Number(new URL(cluster.url).port), "127.0.0.1");
      through.on("error", () => socket.destroy());
      socket.on("error", () => through.destroy());
      through.pipe(socket).pipe(through);
      closers.push(() => through.destroy());
    });
    await new Promise<void>((resolve) => forwarding.listen(0, "127.0.0.2", () => resolve()));
    closers.push(() => forwarding.close());
    const server = `https://127.0.0.2:${(forwarding.address() as AddressInfo).port}`;
    const untrusted = await contextWith({ cluster: { "certificate-authority-data": otherCa } });
    await assert.rejects(untrusted.client.version(), /its certificate is not trusted/);
    const misnamed = await contextWith({ cluster: { server } });
    await assert.rejects(misnamed.client.version(), /ERR_TLS_CERT_ALTNAME_INVALID/);
    await works({ cluster: { server, "tls-server-name": "kubernetes.default" } });
    await works({
      cluster: { server, "certificate-authority-data": undefined, "insecure-skip-tls-verify": true },
    });
  });
});

describe("an OpenID Connect user", () => {
  const jwt = (claims: Record<string, unknown>): string => {
    const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    return `${part({ alg: "RS256", typ: "JWT" })}.${part(claims)}.${Buffer.from("signature").toString("base64url")}`;
  };

  it("gets a new token when the old one has ended, and keeps it for kubectl", async () => {
    const certificates = await ensureCertificates({ name: "issuer", now: Date.now() });
    const used: string[] = [];
    const seconds = Math.floor(Date.now() / 1000);
    let fresh = "";
    const issuerServer = createHttpsServer(
      { key: certificates.key, cert: certificates.certificate },
      async (request, response) => {
        let body = "";
        for await (const chunk of request) body += chunk;
        response.setHeader("content-type", "application/json");
        const issuer = `https://127.0.0.1:${(issuerServer.address() as AddressInfo).port}`;
        if (request.url?.endsWith("openid-configuration")) {
          response.end(JSON.stringify({ issuer, token_endpoint: `${issuer}/token` }));
          return;
        }
        used.push(`${new URLSearchParams(body).get("refresh_token")} ${request.headers.authorization}`);
        fresh = jwt({ iss: issuer, sub: "aki", aud: "slipway", iat: seconds, exp: seconds + 3600 });
        const tokens = { id_token: fresh, refresh_token: "second", access_token: "a", token_type: "bearer" };
        response.end(JSON.stringify({ ...tokens, expires_in: 3600 }));
      },
    );
    const issuer = (await listen(issuerServer as unknown as Server)).replace("http:", "https:");
    const seen: string[] = [];
    const api = createHttpServer((request, response) => {
      seen.push(request.headers.authorization ?? "");
      response.end("{}");
    });
    const old = jwt({ iss: issuer, aud: "slipway", exp: seconds - 60 });
    const config = {
      "client-id": "slipway",
      "client-secret": "hush",
      "idp-issuer-url": issuer,
      "idp-certificate-authority-data": Buffer.from(certificates.ca).toString("base64"),
      "id-token": old,
      "refresh-token": "first",
    };
    const { client, path } = await contextWith({
      user: { "auth-provider": { name: "oidc", config } },
      cluster: { server: await listen(api) },
    });
    await client.version();
    await client.version();
    assert.deepEqual(used, [`first Basic ${Buffer.from("slipway:hush").toString("base64")}`]);
    assert.deepEqual(seen, [`Bearer ${fresh}`, `Bearer ${fresh}`]);
    const kept = readKubeconfig({ KUBECONFIG: path }).users[0]?.["auth-provider"]?.config;
    assert.deepEqual([kept?.["id-token"], kept?.["refresh-token"]], [fresh, "second"]);
  });

  it("whose token has ended for good, or whose provider nobody knows, is told what to do", async () => {
    const refusing = createHttpServer((request, response) => {
      const { host } = request.headers;
      const isDiscovery = request.url?.endsWith("openid-configuration");
      response.statusCode = isDiscovery ? 200 : 400;
      response.end(
        JSON.stringify(isDiscovery ? { token_endpoint: `http://${host}/token` } : { error: "invalid_grant" }),
      );
    });
    const issuer = await listen(refusing);
    const old = jwt({ exp: 1 });
    const renewable = { "client-id": "slipway", "refresh-token": "used", "idp-issuer-url": issuer };
    for (const [provider, message, hint] of [
      [
        { name: "oidc", config: { "id-token": old } },
        /has ended, and .* nothing to renew it with/,
        /Log in again/,
      ],
      [
        { name: "oidc", config: { "id-token": old, ...renewable } },
        /does not renew .*: invalid_grant/,
        /Log in again/,
      ],
      [
        { name: "gcp", config: {} },
        /auth-provider gcp gives no token: Token is expired/,
        /gke-gcloud-auth-plugin/,
      ],
      [{ name: "openstack", config: {} }, /auth-provider "openstack" is not known/, /plugin/],
    ] as const) {
      const { client } = await contextWith({ user: { "auth-provider": provider } });
      await assert.rejects(client.version(), isCode("CREDENTIALS_PROVIDER", message, hint));
    }
  });

  it("of the retired provider gcp keeps the token that is still good", async () => {
    const config = { "access-token": cluster.token, expiry: "2999-01-01T00:00:00Z" };
    await works({ user: { "auth-provider": { name: "gcp", config } } });
  });
});
