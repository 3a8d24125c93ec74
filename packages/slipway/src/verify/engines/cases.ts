/**
 * What every engine must do, whatever runs behind it. An engine's test opens one and says what it cannot show; nothing
 * here knows more of an engine than the port says.
 */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { until } from "@slipway/base";
import type { BuiltImage } from "../../images/image.ts";
import { isBlocked, runIn } from "../observe/commands.ts";
import { commandResource } from "../spec/running.ts";
import { buildCasesImage } from "./cases-image.ts";
import { readyCases } from "./cases-ready.ts";
import {
  type Container,
  type Engine,
  isUnseen,
  type Project,
  type ServiceSpec,
  type Unseen,
} from "./engine.ts";
import { aService } from "./testing.ts";

export interface EngineCaseOptions {
  /** `folder` is empty and removed afterwards. */
  readonly open: (folder: string) => Promise<Engine>;
  /** What this engine does not have: the case is then that it says so. */
  readonly hasNo?: readonly ("init" | "files")[];
}

/** An engine on a busy machine takes its time, and a limit costs only where it is reached. */
const eventually = <T>(what: string, condition: () => T | Promise<T>): Promise<NonNullable<T>> =>
  until(what, condition, { timeoutMs: 180_000 });

const HTTPD = ["httpd", "-f", "-p", "8080", "-h", "/www"];
const get = (url: string) => ({
  url,
  method: "GET",
  headers: {},
  body: undefined,
  timeoutMs: 120_000,
  isInsecure: false,
});
/** Of all that runs in it, as a program inside sees it. */
const commandLines = async (container: Container): Promise<string> =>
  (await container.exec(shell("cat /proc/[0-9]*/cmdline | tr '\\0' ' '"))).stdout;
const shell = (script: string): readonly string[] => ["sh", "-c", script];
const said = (program: string) => ({ program, exitCode: 1, isSaid: true });

export function engineCases(name: string, options: EngineCaseOptions): void {
  let folder: string;
  let engine: Engine;
  let image: BuiltImage;

  const service = (serviceName: string, over: Partial<ServiceSpec> = {}): ServiceSpec =>
    aService(serviceName, { image, ...over });

  /** Makes a project, starts those services, and removes it in any case. */
  async function running(
    services: readonly ServiceSpec[],
    work: (project: Project) => Promise<void>,
    started: readonly string[] = services.map((one) => one.name),
  ): Promise<void> {
    const project = await engine.createProject({ name: "cases", services });
    try {
      await Promise.all(started.map((one) => project.container(one).start()));
      await work(project);
    } finally {
      await project.remove();
    }
  }

  /** Runs one command to its end. */
  async function ran(
    over: Partial<ServiceSpec>,
  ): Promise<{ exitCode: number | undefined; out: string; err: string }> {
    let result: { exitCode: number | undefined; out: string; err: string } | undefined;
    await running([service("one", over)], async (project) => {
      const container = project.container("one");
      const { exitCode } = await container.exited(AbortSignal.timeout(120_000));
      const { stdout, stderr } = await container.logs();
      result = { exitCode, out: stdout, err: stderr };
    });
    return result as NonNullable<typeof result>;
  }

  describe(`engine ${name}`, () => {
    before(async () => {
      folder = await mkdtemp(join(tmpdir(), "slipway-cases-"));
      image = await buildCasesImage(join(folder, "image"));
      engine = await options.open(join(folder, "engine"));
    });
    after(async () => {
      await engine?.close();
      await rm(folder, { recursive: true, force: true });
    });

    readyCases({ engine: () => engine, service });

    test("a container is created, runs, and ends with its code; its streams are kept apart", () =>
      running(
        [service("one", { command: shell("echo out; echo err >&2; read line </data/private.txt; exit 3") })],
        async (project) => {
          const container = project.container("one");
          assert.equal((await container.state()).status, "created");
          await container.start();
          const ended = await container.exited(AbortSignal.timeout(120_000));
          assert.deepEqual(
            [ended.status, ended.exitCode, ended.isOomKilled, ended.restarts],
            ["exited", 3, false, 0],
          );
          assert.ok((ended.startedAtMs ?? 0) <= (ended.finishedAtMs ?? 0));
          assert.deepEqual(await container.logs(), { stdout: "out\n", stderr: "err\n" });
          assert.deepEqual(await container.exited(AbortSignal.timeout(1)), ended);
        },
        [],
      ));

    test("a line counts when it is finished, or its container has ended", () =>
      running(
        [
          service("one", {
            command: shell(
              "echo one; printf two; echo err >&2; printf three >&2; read line </www/index.html; exec sleep 86400",
            ),
          }),
        ],
        async (project) => {
          const one = project.container("one");
          await eventually("both to have written", async () => {
            const { stdout, stderr } = await one.logs();
            return stdout.includes("one") && stderr.includes("err");
          });
          assert.deepEqual(await one.logs(), { stdout: "one\n", stderr: "err\n" });
          await one.stop(0);
          assert.deepEqual(await one.logs(), { stdout: "one\ntwo", stderr: "err\nthree" });
        },
      ));

    test("a program that is not there does not start, and says so", () =>
      running(
        [service("one", { command: ["no-such-program"] })],
        async (project) => {
          await assert.rejects(
            project.container("one").start(),
            (error: { code?: string; message: string }) => {
              assert.equal(error.code, "CONTAINER_NOT_STARTED");
              assert.match(error.message, /no-such-program/);
              return true;
            },
          );
          assert.deepEqual(await project.container("one").logs(), { stdout: "", stderr: "" });
        },
        [],
      ));

    test("command, entrypoint, environment, folder, user and host name are the service's, the umask nobody's", async () => {
      const script = 'echo "$GREETING $COLOUR $(pwd) $(id -u):$(id -g) $(hostname) $(umask)"';
      const over = { environment: { COLOUR: "blue" }, workingDir: "/www", user: "app", hostname: "box" };
      const result = await ran({ ...over, entrypoint: ["sh"], command: ["-c", script] });
      assert.equal(result.out, "hello blue /www 1000:1000 box 0022\n");
      assert.equal((await ran({ entrypoint: shell("echo only") })).out, "only\n");
    });

    test("names and aliases are those of the networks that are shared, and the others cannot be reached", () =>
      running(
        [
          service("web", { command: HTTPD, networks: [{ name: "front", aliases: [] }] }),
          service("api", {
            command: HTTPD,
            networks: [
              { name: "front", aliases: ["backend", "api.example.com"] },
              { name: "back", aliases: [] },
            ],
          }),
          service("db", { command: HTTPD, networks: [{ name: "back", aliases: ["store"] }] }),
        ],
        async (project) => {
          const [web, api, db] = ["web", "api", "db"].map((one) => project.container(one)) as [
            Container,
            Container,
            Container,
          ];
          await Promise.all([web, api, db].map(listens));
          assert.equal((await found(web, "api")).length, 1);
          assert.deepEqual(await found(web, "backend"), await found(web, "api"));
          assert.deepEqual(await found(web, "api.example.com"), await found(web, "api"));
          // A program that asks the name server itself, without the search list and /etc/hosts of libc.
          const asked = await web.exec(["nslookup", "api"]);
          assert.match(asked.stdout, new RegExp((await found(web, "api"))[0] ?? "none"));
          assert.deepEqual(await found(web, "db"), []);
          assert.deepEqual(await found(web, "store"), []);
          assert.equal((await found(api, "store")).length, 1);
          assert.deepEqual(await found(db, "web"), []);
          const page = await seen(web.http(get("http://backend:8080/")));
          assert.ok("status" in page, JSON.stringify(page));
          assert.deepEqual([page.status, page.body], [200, "the page\n"]);
          assert.equal((await seen(web.reach("api", 8080, 30_000))).isOpen, true);
          assert.equal((await seen(web.reach("api", 8081, 30_000))).isOpen, false);
          assert.equal((await seen(web.reach("db", 8080, 2000))).isOpen, false);
          const [address = ""] = await found(db, "db");
          assert.equal((await seen(api.reach(address, 8080, 30_000))).isOpen, true);
          assert.equal((await seen(web.reach(address, 8080, 1000))).isOpen, false);
        },
      ));

    test("extra hosts are names too", () =>
      running([service("one", { extraHosts: [{ name: "elsewhere", ip: "127.0.0.5" }] })], async (project) => {
        assert.deepEqual(await found(project.container("one"), "elsewhere"), ["127.0.0.5"]);
      }));

    for (const [user, uid] of [
      ["root", 0],
      ["app", 1000],
    ] as const)
      test(`sockets, processes and HTTP of ${user} are seen without any program of the image`, () =>
        running([service("web", { command: HTTPD, user })], async (project) => {
          const web = project.container("web");
          await listens(web);
          const sockets = await seen(web.sockets());
          assert.deepEqual(
            sockets.filter(({ protocol }) => protocol === "tcp").map(({ port }) => port),
            [8080],
          );
          const [first, ...others] = await seen(web.processes());
          assert.deepEqual([first?.pid, first?.parent, first?.uid, first?.argv], [1, 0, uid, HTTPD]);
          assert.equal(first?.program, "busybox");
          assert.deepEqual(others, []);

          const missing = await seen(web.http(get("http://127.0.0.1:8080/none")));
          assert.equal("status" in missing ? missing.status : missing.error, 404);
          const refused = await seen(web.http(get("http://127.0.0.1:81/")));
          assert.equal("error" in refused ? refused.error : refused.status, "ECONNREFUSED");
          const unknown = await seen(web.http(get("http://nobody/")));
          assert.equal("error" in unknown ? unknown.error : unknown.status, "ENOTFOUND");
          assert.equal(web.execs <= 4, true, "looking may cost an exec, not one for each thing");
        }));

    test("files are seen as they are now, or it says why not", () =>
      running([service("one")], async (project) => {
        const one = project.container("one");
        if (options.hasNo?.includes("files")) return assert.ok(isUnseen(await one.files()));
        const result = await one.exec(shell("echo new >/tmp/new && echo done"));
        assert.deepEqual([result.exitCode, result.stdout], [0, "done\n"]);
        const files = await seen(one.files());
        const page = await files.lookup("/www/link.html");
        assert.ok(page.kind === "found");
        assert.deepEqual([page.path, page.file.kind, page.file.size], ["/www/index.html", "file", 9]);
        const link = await files.lookup("/www/link.html", { isLinkKept: true });
        assert.ok(link.kind === "found");
        assert.deepEqual([link.file.kind, link.file.link], ["symlink", "/www/index.html"]);
        const secret = await files.lookup("/data/private.txt");
        assert.ok(secret.kind === "found");
        assert.deepEqual([secret.file.uid, secret.file.gid], [0, 0]);
        assert.equal((await files.lookup("/data/none")).kind, "absent");
        assert.equal(Buffer.from(await files.read("/www/link.html", 8)).toString(), "the page");
        const paths: string[] = [];
        for await (const { path } of files.entries()) paths.push(path);
        assert.ok(paths.includes("/www/index.html"));
        assert.equal(
          paths.some((path) => path.startsWith("/proc/")),
          false,
        );

        assert.equal(Buffer.from(await files.read("/tmp/new")).toString(), "new\n");
      }));

    test("a command has a user, an environment, a folder, input, and its own streams and code", () =>
      running([service("one")], async (project) => {
        const one = project.container("one");
        const before = one.execs;
        const result = await one.exec(
          shell('read line; echo "$line $COLOUR $EXTRA $(id -u) $(pwd)"; echo err >&2; exit 7'),
          { user: "app:extra", environment: { EXTRA: "more" }, workingDir: "/www", stdin: "input\n" },
        );
        assert.deepEqual(
          [result.exitCode, result.stdout, result.stderr, result.hasTimedOut],
          [7, "input red more 1000 /www\n", "err\n", false],
        );
        assert.equal(one.execs, before + 1);
        assert.equal((await one.exec(["no-such-program"])).exitCode, 127);
        assert.equal((await one.exec(["id", "-g"], { user: "app:extra" })).stdout, "44\n");
      }));

    test("what the kernel does not take as a program is not given to a shell instead", async () => {
      const ends = {
        "/odd/lines": /format error/,
        "/odd/windows": /no such file/,
        "/odd/cut": /format error/,
        "/odd/foreign": /format error/,
        "/odd/unloaded": /no such file/,
      };
      await running([service("one")], async (project) => {
        const one = project.container("one");
        for (const [program, why] of Object.entries(ends)) {
          const { exitCode, stdout, stderr } = await one.exec([program]);
          assert.deepEqual({ program, exitCode, isSaid: why.test(stdout + stderr) }, said(program));
        }
        assert.equal((await one.exec(["/odd/plain"])).exitCode, 126);
        assert.equal((await one.exec(["/odd"])).exitCode, 126);
      });
      for (const [program, why] of Object.entries(ends)) {
        const { exitCode, out, err } = await ran({ command: [program] });
        assert.deepEqual({ program, exitCode, isSaid: why.test(out + err) }, said(program));
      }
    });

    test("a command as a user that is not there is refused, with the user's name, and the next one runs", () =>
      running([service("one")], async (project) => {
        const one = project.container("one");
        const command = commandResource(["id"], { user: "nouser" });
        const ran = await runIn(one, { resource: command, checks: [] }, () => Promise.resolve(undefined));
        const said = isBlocked(ran) ? ran.blocked : ran.stderr + ran.stdout;
        assert.match(said, /nouser/);
        assert.ok(isBlocked(ran) ? ran.isByImage : ran.exitCode !== 0);
        assert.equal((await one.exec(["id", "-u"])).exitCode, 0);
      }));

    test("a command that takes too long is killed, and what it wrote is kept", () =>
      running([service("one")], async (project) => {
        const one = project.container("one");
        const begun = (timeoutMs: number) => one.exec(shell("echo begun; exec sleep 4242"), { timeoutMs });
        let result = await begun(4000);
        // A busy machine may not have begun by then.
        if (result.stdout === "") result = await begun(40_000);
        assert.deepEqual([result.hasTimedOut, result.stdout], [true, "begun\n"]);
        await eventually("the command to be gone", async () => !(await commandLines(one)).includes("4242"));
      }));

    test("what a healthcheck runs is not among the processes; a daemon that a command leaves behind is", () => {
      const healthcheck = {
        test: ["sleep", "4243"],
        intervalMs: 1000,
        timeoutMs: 600_000,
        retries: 3,
        startPeriodMs: 0,
      };
      return running([service("web", { command: HTTPD, healthcheck })], async (project) => {
        const web = project.container("web");
        await web.state();
        await eventually("the healthcheck to run", async () =>
          (await commandLines(web)).includes("sleep 4243"),
        );
        await web.exec(shell("(sleep 4244 >/dev/null 2>&1 </dev/null &)"));
        await eventually("the daemon to be seen", async () =>
          (await seen(web.processes())).some(({ argv }) => argv.includes("4244")),
        );
        assert.ok((await commandLines(web)).includes("sleep 4243"), "it still runs");
        const words = (await seen(web.processes())).map(({ argv }) => argv.join(" "));
        assert.deepEqual(words, [HTTPD.join(" "), "sleep 4244"]);
      });
    });

    test("a stop sends the stop signal, waits, and kills", () =>
      running(
        [
          service("polite", {
            command: shell("trap 'exit 4' USR1; while :; do sleep 0.05; done"),
            stopSignal: "SIGUSR1",
          }),
          service("stubborn"),
        ],
        async (project) => {
          const [polite, stubborn] = [project.container("polite"), project.container("stubborn")];
          await eventually("the trap to be set", async () => (await seen(polite.processes())).length > 1);
          assert.equal((await polite.stop(60_000)).wasKilled, false);
          assert.equal((await polite.state()).exitCode, 4);
          const { wasKilled, tookMs } = await stubborn.stop(300);
          assert.equal(wasKilled, true);
          assert.ok(tookMs >= 300, `it had its grace: ${tookMs} ms`);
          assert.equal((await stubborn.state()).exitCode, 137);
        },
      ));

    test("a healthcheck makes it healthy or unhealthy, and none says nothing", () => {
      const check = (script: string) => ({
        test: shell(script),
        intervalMs: 150,
        timeoutMs: 5000,
        startPeriodMs: 0,
        retries: 2,
      });
      return running(
        [
          service("good", { healthcheck: check("test -f /tmp/ready || exit 1") }),
          service("bad", { healthcheck: check("echo no luck; exit 1") }),
          service("none", { healthcheck: "none" }),
        ],
        async (project) => {
          const health = async (one: string) => (await project.container(one).state()).health;
          assert.equal(await health("none"), undefined);
          await eventually("bad to be unhealthy", async () => (await health("bad")) === "unhealthy");
          assert.match((await project.container("bad").state()).healthOutput ?? "", /no luck/);
          assert.notEqual(await health("good"), "healthy");
          await project.container("good").exec(["touch", "/tmp/ready"]);
          await eventually("good to be healthy", async () => (await health("good")) === "healthy");
          assert.equal(project.container("good").execs, 1);
        },
      );
    });

    test("an ordinary user may listen on a port below 1024", () =>
      running(
        [service("one", { user: "app", command: ["httpd", "-f", "-p", "80", "-h", "/www"] })],
        async (project) => {
          const one = project.container("one");
          const ports = await eventually("httpd to listen", async () => {
            assert.equal((await one.state()).status, "running", (await one.logs()).stderr);
            const sockets = await one.sockets();
            return isUnseen(sockets) || sockets.length === 0 ? undefined : sockets.map(({ port }) => port);
          });
          assert.deepEqual(ports, [80]);
        },
      ));

    test("on-failure starts it again, with the files that it left", () =>
      running(
        [
          service("one", {
            command: shell("test -f /tmp/been && exec sleep 86400; touch /tmp/been; exit 1"),
            restart: "on-failure",
          }),
        ],
        async (project) => {
          const one = project.container("one");
          await eventually("the second attempt", async () => {
            const { status, restarts } = await one.state();
            return status === "running" && restarts === 1;
          });
          assert.equal((await one.exec(["test", "-f", "/tmp/been"])).exitCode, 0);
        },
      ));

    test("folders of the machine, volumes and tmpfs are mounted, and a root may be read-only", async () => {
      const bound = await mkdtemp(join(folder, "bound-"));
      await writeFile(join(bound, "given"), "from outside\n");
      const volume = { kind: "volume", volume: "shared", path: "/www", isReadOnly: false } as const;
      await running(
        [
          service("writer", {
            isReadOnly: true,
            mounts: [
              { kind: "bind", source: bound, path: "/bound", isReadOnly: false },
              volume,
              { kind: "tmpfs", path: "/scratch" },
            ],
          }),
          service("reader", { mounts: [{ ...volume, path: "/pages", isReadOnly: true }] }),
        ],
        async (project) => {
          const [writer, reader] = [project.container("writer"), project.container("reader")];
          const output = async (container: Container, script: string): Promise<string> =>
            (await container.exec(shell(`${script} 2>&1`))).stdout;
          assert.equal(await output(writer, "cat /bound/given; echo back >/bound/taken"), "from outside\n");
          assert.equal(await readFile(join(bound, "taken"), "utf8"), "back\n");
          assert.match(await output(writer, "echo x >/root-file || echo refused"), /refused/);
          assert.equal(await output(writer, "echo x >/scratch/file && cat /scratch/file"), "x\n");
          assert.equal(await output(writer, "stat -c %a /scratch"), "1777\n");
          assert.equal(await output(writer, "cat /www/index.html; echo more >/www/more"), "the page\n");
          assert.equal(await output(reader, "cat /pages/more"), "more\n");
          assert.match(await output(reader, "echo x >/pages/x || echo refused"), /refused/);
        },
      );
    });

    test("a published port of this machine leads to it", () =>
      running(
        [
          service("web", {
            command: HTTPD,
            published: [{ port: 8080, protocol: "tcp", hostPort: 0, hostIp: "127.0.0.1" }],
          }),
        ],
        async (project) => {
          const web = project.container("web");
          await listens(web);
          const [port] = await web.published();
          assert.ok(port !== undefined && port.hostPort > 0);
          const response = await fetch(`http://127.0.0.1:${port.hostPort}/`);
          assert.equal(await response.text(), "the page\n");
          await project.remove();
          await assert.rejects(connected(port.hostPort), /ECONNREFUSED/);
        },
      ));

    test("one that does not run cannot be looked into, and says so", () =>
      running(
        [service("one")],
        async (project) => {
          assert.ok(isUnseen(await project.container("one").sockets()));
          assert.ok(isUnseen(await project.container("one").http(get("http://127.0.0.1/"))));
          assert.throws(() => project.container("two"), /two/);
        },
        [],
      ));

    test("removing may be done twice, and leaves nothing to sweep", async () => {
      const project = await engine.createProject({ name: "cases", services: [service("one")] });
      await project.container("one").start();
      await Promise.all([project.remove(), project.remove()]);
      assert.deepEqual(await engine.sweep(), { containers: 0, networks: 0, folders: 0 });
    });

    test("a service with init has a PID 1 that reaps and passes signals on, or is refused by name", async () => {
      const services = [service("one", { hasInit: true })];
      if (options.hasNo?.includes("init")) {
        const refused = { code: "ENGINE_UNSUPPORTED", message: /services\/one\/init/ };
        return assert.rejects(engine.createProject({ name: "cases", services }), refused);
      }
      await running(services, async (project) => {
        const isInFront = async (): Promise<boolean> => {
          const processes = await seen(project.container("one").processes());
          return processes.some(({ pid, comm }) => pid !== 1 && comm === "sleep");
        };
        // Before it has started the program it would not hear a signal either.
        await eventually("the program to run behind it", isInFront);
        assert.equal((await project.container("one").stop(60_000)).wasKilled, false);
      });
      // The program's own end, its code and its user are the container's.
      const ended = await ran({ hasInit: true, user: "1000:1000", command: shell("id -u; exit 7") });
      assert.deepEqual([ended.exitCode, ended.out], [7, "1000\n"]);
    });
  });
}

async function seen<T extends object>(looked: Promise<T | Unseen>): Promise<T> {
  const value = await looked;
  if (isUnseen(value)) return assert.fail(value.unseen);
  return value;
}

async function found(container: Container, name: string): Promise<readonly string[]> {
  return seen(container.resolve(name, 30_000));
}

async function listens(container: Container): Promise<void> {
  await eventually("port 8080 to listen", async () =>
    (await seen(container.sockets())).some(({ protocol, port }) => protocol === "tcp" && port === 8080),
  );
}

function connected(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port }, () => {
      socket.destroy();
      resolve();
    });
    socket.once("error", reject);
  });
}
