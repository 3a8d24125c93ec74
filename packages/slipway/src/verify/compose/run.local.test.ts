/** Bringing real services of the sandbox up, and how it ends when one cannot. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type Clock, systemClock } from "@slipway/base";
import type { BuiltImage } from "../../images/image.ts";
import { buildCasesImage } from "../engines/cases-image.ts";
import type { ServiceSpec } from "../engines/engine.ts";
import { createSandboxEngine, type SandboxEngine } from "../engines/sandbox/engine.ts";
import { aService } from "../engines/testing.ts";
import { bringUp, type UpResult, upError } from "./run.ts";

describe("a project in the sandbox", () => {
  let folder: string;
  let image: BuiltImage;
  let engine: SandboxEngine;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "slipway-up-"));
    image = await buildCasesImage(join(folder, "image"));
    engine = createSandboxEngine({
      stateDirectory: join(folder, "runs"),
      layersDirectory: join(folder, "layers"),
      clock: systemClock,
    });
  });
  after(async () => {
    await engine.close();
    await rm(folder, { recursive: true, force: true });
  });

  const sh = (name: string, script: string, over: Partial<ServiceSpec> = {}): ServiceSpec =>
    aService(name, { image, command: ["sh", "-c", script], ...over });
  const after_ = (service: string, condition: "started" | "healthy" | "completed") => ({
    dependsOn: [{ service, condition, isRequired: true }],
  });

  /** The time begins when `begin` are started: on a busy machine that alone may take longer than a short deadline. */
  async function up(
    services: readonly ServiceSpec[],
    deadlineMs = 180_000,
    begin = 0,
  ): Promise<{ readonly result: UpResult; readonly order: readonly string[] }> {
    const order: string[] = [];
    const project = await engine.createProject({ name: "up", services });
    let begunAt: number | undefined;
    const monotonic = (): number => {
      if (order.length >= begin) begunAt ??= systemClock.monotonic();
      return begunAt === undefined ? 0 : systemClock.monotonic() - begunAt;
    };
    try {
      const onStarted = (name: string): void => void order.push(name);
      const clock: Clock = { ...systemClock, monotonic };
      return { result: await bringUp(project, { clock, deadlineMs, onStarted }), order };
    } finally {
      await project.remove();
    }
  }

  test("starts in the order of its conditions, and is ready when its ports listen", async () => {
    const { result, order } = await up([
      sh("web", "exec httpd -f -p 8080 -h /www", {
        exposed: [{ port: 8080, protocol: "tcp" }],
        ...after_("db", "healthy"),
      }),
      sh("db", "sleep 0.2; touch /tmp/ready; exec sleep 86400", {
        healthcheck: {
          test: ["test", "-f", "/tmp/ready"],
          intervalMs: 1000,
          timeoutMs: 5000,
          startPeriodMs: 0,
          retries: 100, // it is not about how long a shell may take
        },
        ...after_("migrate", "completed"),
      }),
      sh("migrate", "echo done"),
    ]);
    assert.equal(result.kind, "ready", JSON.stringify(result));
    assert.deepEqual(order, ["migrate", "db", "web"]);
  });

  test("one that exits ends the wait at once, with its last lines and who never began", async () => {
    const { result } = await up([
      sh("db", "echo starting; echo no disk >&2; exit 3", {
        healthcheck: {
          test: ["true"],
          intervalMs: 60_000,
          timeoutMs: 5000,
          startPeriodMs: 60_000,
          retries: 3,
        },
      }),
      sh("web", "exec sleep 86400", after_("db", "healthy")),
    ]);
    assert.ok(result.kind === "failed");
    assert.deepEqual([result.failure.kind, result.failure.service], ["exited", "db"]);
    assert.deepEqual(result.log, ["starting", "no disk"]);
    assert.deepEqual(result.notStarted, ["web"]);
    const error = upError(result);
    assert.equal(error.code, "COMPOSE_SERVICE_EXITED");
    assert.match(
      error.message,
      /^exited with 3\n {2}db \| starting\n {2}db \| no disk\n {2}not started: web$/,
    );
  });

  test("a port that never listens is late, and named, with the others that are; who waits for it is not", async () => {
    const listening = (port: number) => ({ image, exposed: [{ port, protocol: "tcp" as const }] });
    const services = [
      aService("front", { image, ...after_("migrate", "completed") }),
      aService("web", listening(81)),
      aService("api", listening(82)),
      aService("migrate", { image }),
    ];
    const { result } = await up(services, 700, 3);
    assert.ok(result.kind === "failed");
    assert.equal(
      result.failure.message,
      [
        "is not ready after 700 ms: waiting for port 81 to listen (listening: none)",
        "api is waiting for port 82 to listen (listening: none)",
        "migrate is waiting for it to complete",
      ].join("\n  "),
    );
    assert.deepEqual(result.notStarted, ["front"]);
  });

  test("a program that is not there is told as such", async () => {
    const { result } = await up([aService("web", { image, command: ["no-such-program"] })]);
    assert.ok(result.kind === "failed");
    assert.equal(result.failure.kind, "not-started");
    assert.match(result.failure.message, /no-such-program/);
  });
});
