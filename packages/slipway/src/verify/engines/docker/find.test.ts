import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { engineAddresses, type FindOptions } from "./find.ts";

const contextFolder = createHash("sha256").update("build-box").digest("hex");
const options = (env: Record<string, string>, files: Record<string, string> = {}, uid = 0): FindOptions => ({
  env,
  uid,
  home: "/home/someone",
  readText: (path) => files[path],
  exists: (path) => files[path] !== undefined,
});

test("the variable comes before the context, the context before the socket", () => {
  const files = {
    "/var/run/docker.sock": "",
    "/home/someone/.docker/config.json": JSON.stringify({ currentContext: "build-box" }),
    [`/home/someone/.docker/contexts/meta/${contextFolder}/meta.json`]: JSON.stringify({
      Name: "build-box",
      Endpoints: { docker: { Host: "tcp://10.0.0.2:2376" } },
    }),
    [`/home/someone/.docker/contexts/tls/${contextFolder}/docker/ca.pem`]: "…",
  };
  const byVariable = engineAddresses("docker", options({ DOCKER_HOST: "unix:///tmp/d.sock" }, files));
  assert.deepEqual(
    byVariable.map(({ host, from }) => [host, from]),
    [["unix:///tmp/d.sock", "DOCKER_HOST"]],
  );

  const [byContext] = engineAddresses("docker", options({}, files));
  assert.equal(byContext?.host, "tcp://10.0.0.2:2376");
  assert.equal(byContext?.from, "context build-box");
  assert.equal(byContext?.isAsked, true);
  assert.match(byContext?.tlsFolder ?? "", /contexts\/tls\//);

  const [bySocket] = engineAddresses("docker", options({ DOCKER_CONTEXT: "default" }, files));
  assert.equal(bySocket?.host, "unix:///var/run/docker.sock");
  assert.equal(bySocket?.isAsked, false);
});

test("a context that cannot be read is asked for all the same: no other engine takes its place", () => {
  const addresses = engineAddresses(
    "docker",
    options({ DOCKER_CONTEXT: "gone" }, { "/var/run/docker.sock": "" }),
  );
  assert.deepEqual(
    addresses.map(({ host, isAsked }) => [host, isAsked]),
    [["", true]],
  );
});

test("Podman's socket is the user's own unless root asks", () => {
  const files = { "/run/podman/podman.sock": "", "/run/user/1000/podman/podman.sock": "" };
  const hosts = (uid: number): readonly string[] =>
    engineAddresses("podman", options({}, files, uid)).map(({ host }) => host);
  assert.deepEqual(hosts(0), ["unix:///run/podman/podman.sock"]);
  assert.deepEqual(hosts(1000), ["unix:///run/user/1000/podman/podman.sock"]);
});

test("where no socket is, there is no engine", () => {
  assert.deepEqual(engineAddresses("docker", options({})), []);
  assert.deepEqual(engineAddresses("podman", options({})), []);
});
