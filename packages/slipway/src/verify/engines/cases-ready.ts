/** What a spec file may wait for, on every engine: each form comes true only after a while, and one that cannot says why. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "@slipway/base";
import { bringUp, type UpResult, upError } from "../compose/run.ts";
import type { ReadyWhen } from "../readiness/forms.ts";
import { completedFor } from "../readiness/readiness.ts";
import { ready } from "../spec/ready.ts";
import type { Engine, Project, ServiceSpec } from "./engine.ts";

export interface ReadyCases {
  readonly engine: () => Engine;
  readonly service: (name: string, over?: Partial<ServiceSpec>) => ServiceSpec;
}

const LONG_MS = 300_000;

export function readyCases({ engine, service }: ReadyCases): void {
  const sh = (name: string, script: string, over: Partial<ServiceSpec> = {}): ServiceSpec =>
    service(name, { command: ["sh", "-c", script], ...over });

  async function up(
    services: readonly ServiceSpec[],
    readyWhen: ReadyWhen,
    look: (project: Project, result: UpResult) => Promise<void> | void,
    deadlineMs = LONG_MS,
  ): Promise<void> {
    const said = completedFor(readyWhen, services);
    const project = await engine().createProject({ name: "ready", services });
    try {
      await look(project, await bringUp(project, { clock: systemClock, deadlineMs, readyWhen: said }));
    } finally {
      await project.remove();
    }
  }

  const failureOf = (result: UpResult): string => {
    assert.ok(result.kind === "failed", "it should not be ready");
    const { failure } = result;
    return `${failure.kind}: ${failure.service} ${failure.message}`;
  };

  test("a service is ready by what its spec file says: log, answer, ports, healthcheck, command, end", () => {
    const port = (number: number) => ({ port: number, protocol: "tcp" as const });
    const late = "sleep 0.4; touch /tmp/done; exec sleep 86400";
    const test = ["test", "-f", "/tmp/done"];
    const healthcheck = { test, intervalMs: 1000, timeoutMs: 5000, startPeriodMs: 0, retries: 30 };
    const httpd = "exec httpd -f -h /www";
    return up(
      [
        sh("logs", "echo up; sleep 0.4; echo up >&2; exec sleep 86400"),
        sh("answers", `sleep 0.4; echo '/:app:secret' >/tmp/auth; ${httpd} -c /tmp/auth -p 8080`, {
          exposed: [port(8080)],
        }),
        sh("listens", `(sleep 0.4; ${httpd} -p 9090) & ${httpd} -p 8080`, {
          exposed: [port(8080), port(9090)],
        }),
        sh("healthy", late, { healthcheck }),
        sh("runs", late),
        sh("ends", "sleep 0.4; exit 4"),
        sh("all", `echo one; (sleep 0.4; ${httpd} -p 8080) & sleep 0.2; echo two; exec sleep 86400`),
      ],
      {
        logs: ready.log(/^up$/, 2),
        answers: ready.http("/", { auth: { user: "app", password: "secret" }, body: "the page" }),
        listens: ready.ports(),
        healthy: ready.health(),
        runs: ready.cmd(["test", "-f", "/tmp/done"], { user: "app" }),
        ends: ready.exit(4),
        all: ready.all(
          [ready.log("two"), ready.ports(8080), ready.http("/none", { port: 8080, status: 404 })],
          {
            deadline: "4m",
          },
        ),
      },
      async (project, result) => {
        assert.equal(result.kind, "ready", result.kind === "failed" ? upError(result).message : "");
        const outOf = async (name: string): Promise<string> => {
          const { stdout, stderr } = await project.container(name).logs();
          return stdout + stderr;
        };
        assert.equal(await outOf("logs"), "up\nup\n");
        assert.equal((await project.container("healthy").exec(test)).exitCode, 0);
        assert.equal((await project.container("runs").exec(test)).exitCode, 0);
        assert.equal((await project.container("ends").state()).exitCode, 4);
        assert.match(await outOf("all"), /two/);
      },
    );
  });

  test("one that ends while it is waited for ends the wait at once, also while another's command runs", () =>
    up(
      [sh("db", "echo starting; sleep 0.3; echo no disk >&2; exit 3"), service("web")],
      { db: ready.log(/accepts connections/), web: ready.cmd(["sleep", "900"], { timeout: "15m" }) },
      (_project, result) => {
        const message = "exited: db exited with 3, while waiting for /accepts connections/ in its log";
        assert.equal(failureOf(result), message);
        assert.ok(result.kind === "failed" && result.tookMs < 300_000, "nobody waits for the command");
        assert.deepEqual(result.log, ["starting", "no disk"]);
      },
      1_200_000,
    ));

  test("an end with another code, or without what else was wanted, is a failure", async () => {
    await up([sh("job", "exit 3")], { job: ready.exit() }, (_project, result) =>
      assert.equal(failureOf(result), "exited: job exited with 3, while waiting for it to end with 0"),
    );
    const readyWhen = { job: ready.all([ready.exit(), ready.log("imported 3 rows")]) };
    await up([sh("job", "echo imported 2 rows")], readyWhen, (_project, result) =>
      assert.equal(
        failureOf(result),
        'exited: job exited with 0 without "imported 3 rows" in its log (nearest: imported 2 rows, line 1 of 1)',
      ),
    );
  });

  test("what does not come in time says what was nearest", async () => {
    let text = "";
    // Where the machine is so busy that nothing has been answered in time, it has more time.
    for (const deadline of ["1s", "30s"]) {
      await up(
        [service("web", { command: ["httpd", "-f", "-p", "8080", "-h", "/www"] })],
        { web: ready.all([ready.http("/none", { port: 8080 })], { deadline }) },
        (_project, result) => {
          text = failureOf(result);
        },
      );
      assert.match(text, /^late: web is not ready after (1|30)\.0 s: waiting for a status below 400 from/);
      if (text.includes("status 404")) break;
    }
    assert.match(text, /GET http:\/\/127\.0\.0\.1:8080\/none \(status 404, body /);
  });

  test("a healthcheck that is not there cannot be waited for", () =>
    up([service("web")], { web: ready.health() }, (_project, result) =>
      assert.equal(failureOf(result), "no-healthcheck: web should be healthy, and has no healthcheck"),
    ));
}
