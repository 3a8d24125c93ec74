/** An engine of another machine: here the same engines behind a TCP port, where nothing tells that they are near. */
import assert from "node:assert/strict";
import { chmod, chown, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { connect as connectSocket, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { systemClock, systemProcesses, until } from "@slipway/base";
import type { BuiltImage } from "../../../images/image.ts";
import { buildCasesImage } from "../cases-image.ts";
import type { Container, Project, ServiceMount, ServiceSpec } from "../engine.ts";
import { aService } from "../testing.ts";
import { type Connection, connect, connectTo } from "./connect.ts";
import { ownUlimits } from "./docker.ts";
import { remoteLook } from "./look.ts";
import { createDockerProject } from "./project.ts";

let folder: string;
let image: BuiltImage;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-remote-"));
  image = await buildCasesImage(join(folder, "image"));
});
after(() => rm(folder, { recursive: true, force: true }));

for (const kind of ["docker", "podman"] as const) {
  describe(`${kind} on another machine`, () => {
    let desk: string;
    let forward: Server;
    const sockets = new Set<Socket>();
    let connection: Connection;

    before(async () => {
      desk = await mkdtemp(join(folder, "desk-"));
      await mkdir(join(desk, "pages", "deep"), { recursive: true });
      await writeFile(join(desk, "pages", "index.html"), "from the desk\n");
      await writeFile(join(desk, "pages", "deep", "private"), "x".repeat(100_000));
      await chmod(join(desk, "pages", "deep", "private"), 0o640);
      await chown(join(desk, "pages", "deep", "private"), 1000, 44);
      await chmod(join(desk, "pages", "deep"), 0o710);
      await chmod(join(desk, "pages"), 0o751);
      await symlink("index.html", join(desk, "pages", "home.html"));
      await writeFile(join(desk, "own.html"), "a file of its own\n");
      await mkdir(join(desk, "empty"));
      const { address } = (await connect(kind, process.env)) ?? assert.fail(`no ${kind} engine answers`);
      const path = address.host.replace(/^unix:\/\//, "");
      forward = createServer({ allowHalfOpen: true }, (near) => {
        const far = connectSocket({ path, allowHalfOpen: true });
        for (const socket of [near, far]) sockets.add(socket.on("error", () => {}));
        near.pipe(far).pipe(near);
      }).listen(0, "127.0.0.1");
      await until("the port to be open", () => forward.listening);
      const { port } = forward.address() as { port: number };
      connection = await connectTo({ kind, host: `tcp://127.0.0.1:${port}`, from: "here", isAsked: true });
      assert.equal(connection.isLocal, false);
    });
    after(async () => {
      for (const socket of sockets) socket.destroy();
      forward?.close();
    });

    const bind = (source: string, path: string, isReadOnly = true): ServiceMount => ({
      kind: "bind",
      source: join(desk, source),
      path,
      isReadOnly,
    });
    const sh = async (container: Container, script: string): Promise<string> => {
      const { stdout, stderr } = await container.exec(["sh", "-c", script]);
      return stdout + stderr;
    };

    const create = (services: readonly ServiceSpec[]): Promise<Project> =>
      createDockerProject(
        { name: "remote", services },
        {
          docker: connection.docker,
          kind,
          clock: systemClock,
          remote: connection.address.host,
          owner: JSON.stringify(systemProcesses().self),
          // It is this machine after all, and Podman may not raise what this process may not.
          ulimits: kind === "podman" ? ownUlimits() : [],
          look: () => remoteLook("it runs on another machine"),
        },
      );

    async function running(
      services: readonly ServiceSpec[],
      work: (of: (service: string) => Container) => Promise<void>,
    ): Promise<void> {
      const project = await create(services);
      try {
        for (const { name } of services) await project.container(name).start();
        await work((service) => project.container(service));
      } finally {
        await project.remove();
      }
    }

    test("a folder is there as it is here, hides what the image has, and is shared", async () => {
      const reader = aService("reader", { image, isReadOnly: true, mounts: [bind("pages", "/www")] });
      const writer = aService("writer", { image, mounts: [bind("pages", "/pages", false)] });
      await running([reader, writer], async (of) => {
        const look =
          "ls /www; cat /www/home.html; stat -c '%a' /www; stat -c '%a %u:%g %s' /www/deep /www/deep/private";
        assert.equal(
          (await sh(of("reader"), look)).replace(/^(710 0:0) \d+$/m, "$1"),
          `deep\nhome.html\nindex.html\nfrom the desk\n${kind === "docker" ? 751 : 755}\n710 0:0\n640 1000:44 100000\n`,
        );
        assert.match(await sh(of("reader"), "echo x >/www/x || echo refused"), /refused/);
        await sh(of("writer"), "echo made over there >/pages/made");
        assert.equal(await sh(of("reader"), "cat /www/made"), "made over there\n");
      });
      assert.deepEqual(await readdir(join(desk, "pages")), ["deep", "home.html", "index.html"]);
      assert.deepEqual((await connection.docker.listVolumes()).Volumes ?? [], [], "nothing stays there");
      assert.deepEqual(await connection.docker.listContainers({ all: true }), []);
    });

    test("a file takes the place of the image's, also within a folder", async () => {
      const one = aService("one", { image, mounts: [bind("own.html", "/www/index.html")] });
      const within = [bind("pages", "/www"), bind("own.html", "/www/deep/own.html")];
      const two = aService("two", { image, mounts: within });
      await running([one, two], async (of) => {
        assert.equal(
          await sh(of("one"), "cat /www/link.html; ls /www"),
          "a file of its own\nindex.html\nlink.html\n",
        );
        assert.equal(
          await sh(of("two"), "cat /www/home.html /www/deep/own.html"),
          "from the desk\na file of its own\n",
        );
      });
    });

    test("an empty folder, and one that is not there, hide what the image has and are not made here", () =>
      running(
        [aService("one", { image, mounts: [bind("empty", "/www"), bind("none", "/data", false)] })],
        async (of) => {
          assert.equal(
            await sh(of("one"), "ls /www /data; touch /data/x && echo written"),
            "/data:\n\n/www:\nwritten\n",
          );
          assert.ok(!(await readdir(desk)).includes("none"));
        },
      ));

    test("what cannot be copied is refused before anything is made", async () => {
      const services = [
        aService("one", { image, isReadOnly: true, mounts: [bind("own.html", "/www/own.html")] }),
      ];
      await assert.rejects(create(services), {
        code: "ENGINE_UNSUPPORTED",
        message: /own\.html:\/www\/own\.html: a file of a root that is read-only$/,
      });
      assert.deepEqual(await connection.docker.listContainers({ all: true }), []);
    });
  });
}
