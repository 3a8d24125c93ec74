import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { chown, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { exec, systemClock, until } from "@slipway/base";
import { findIds } from "@slipway/cluster/sandbox";
import type { BuiltImage } from "../../../images/image.ts";
import { engineCases } from "../cases.ts";
import { buildCasesImage, buildContext } from "../cases-image.ts";
import { isUnseen } from "../engine.ts";
import { aService } from "../testing.ts";
import { createSandboxEngine } from "./engine.ts";
import { findInit } from "./init.ts";

process.umask(0o077); // what who runs the checks keeps from others is no matter of a container

engineCases("sandbox", {
  open: async (folder) =>
    createSandboxEngine({
      stateDirectory: join(folder, "runs"),
      layersDirectory: join(folder, "layers"),
      clock: systemClock,
    }),
  // With one uid for all, files do not have their owners.
  hasNo: [
    ...(findIds().mode === "one-uid" ? (["files"] as const) : []),
    ...((await findInit()) === undefined ? (["init"] as const) : []),
  ],
});

test("an ordinary user with one uid sees sockets, processes and HTTP, too", {
  skip: process.getuid?.() !== 0 && "needs root to become one",
}, async () => {
  const home = await mkdtemp(join(tmpdir(), "slipway-ordinary-"));
  try {
    await chown(home, 4321, 4321);
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const said = await exec(
      [
        ...["setpriv", "--reuid=4321", "--regid=4321", "--clear-groups", "--"],
        ...[process.execPath, "--test", "--test-reporter=spec", "--disable-warning=ExperimentalWarning"],
        ...["--test-name-pattern=^sockets, processes and HTTP of", import.meta.filename],
      ],
      { env: { ...env, HOME: home, TMPDIR: home } },
    );
    assert.equal(said.exitCode, 0, said.stdout + said.stderr);
    assert.match(said.stdout, /pass 2\b/);
  } finally {
    await rm(home, { recursive: true, force: true });
  }
});

test("the name server is where programs know Docker's, and knows only what the asker may see", async () => {
  const folder = await mkdtemp(join(tmpdir(), "slipway-names-"));
  const engine = createSandboxEngine({
    stateDirectory: join(folder, "runs"),
    layersDirectory: join(folder, "layers"),
    clock: systemClock,
  });
  try {
    const image = await buildCasesImage(join(folder, "image"));
    const on = (name: string, network: string) =>
      aService(name, { image, networks: [{ name: network, aliases: [] }] });
    const project = await engine.createProject({
      name: "names",
      services: [on("web", "front"), on("api", "front"), on("db", "back")],
    });
    const web = project.container("web");
    await web.start();
    const ask = async (name: string): Promise<string> =>
      (await web.exec(["nslookup", name, "127.0.0.11"])).stdout;
    assert.match(await ask("api"), /Address: 10\.244\.0\.\d+/);
    assert.match(await ask("db"), /NXDOMAIN/);
    // The rest of 127.0.0.0/8 is the container's own.
    const refused = await web.reach("127.0.0.1", 53, 30_000);
    assert.equal("error" in refused ? refused.error : "open", "ECONNREFUSED");
  } finally {
    await engine.close();
    await rm(folder, { recursive: true, force: true });
  }
});

test("a published UDP port takes datagrams to the container, and each sender gets its own answers", async () => {
  const folder = await mkdtemp(join(tmpdir(), "slipway-udp-"));
  const engine = createSandboxEngine({
    stateDirectory: join(folder, "runs"),
    layersDirectory: join(folder, "layers"),
    clock: systemClock,
  });
  const senders = [createSocket("udp4"), createSocket("udp4")];
  try {
    const image = await imageOf(folder, "FROM slipway/node\n");
    const program =
      'const s = require("node:dgram").createSocket("udp4"); s.on("message", (data, { address, port }) => s.send("got " + data, port, address)); s.bind(9053);';
    const published = [{ port: 9053, protocol: "udp", hostPort: 0, hostIp: "127.0.0.1" }] as const;
    const project = await engine.createProject({
      name: "udp",
      services: [aService("echo", { image, command: ["node", "-e", program], published })],
    });
    const echo = project.container("echo");
    await echo.start();
    await until("the port to be open", async () => {
      const sockets = await echo.sockets();
      return !isUnseen(sockets) && sockets.some(({ port, protocol }) => port === 9053 && protocol === "udp");
    });
    const [port] = await echo.published();
    assert.ok(port !== undefined && port.hostPort > 0);
    const asked = senders.map(async (sender, index) => {
      const texts: string[] = [];
      for (const word of ["one", "two"]) {
        const answer = once(sender, "message");
        sender.send(`${word} ${index}`, port.hostPort, "127.0.0.1");
        texts.push(String((await answer)[0]));
      }
      return texts;
    });
    assert.deepEqual(await Promise.all(asked), [
      ["got one 0", "got two 0"],
      ["got one 1", "got two 1"],
    ]);
    const again = aService("echo", { image, published: [{ ...published[0], hostPort: port.hostPort }] });
    const other = await engine.createProject({ name: "other", services: [again] });
    await assert.rejects(other.container("echo").start(), { code: "ENGINE_PORT_TAKEN" });
    await project.remove();
    await other.container("echo").start();
  } finally {
    for (const sender of senders) sender.close();
    await engine.close();
    await rm(folder, { recursive: true, force: true });
  }
});

async function imageOf(folder: string, dockerfile: string): Promise<BuiltImage> {
  const context = join(folder, "context");
  await mkdir(context);
  await writeFile(join(context, "Dockerfile"), dockerfile);
  return buildContext(folder, context, "echo");
}
