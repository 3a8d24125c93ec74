import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ServiceSpec } from "../engine.ts";
import { aService } from "../testing.ts";
import { createOptions, laterNetworks } from "./create-options.ts";
import { isFirstOfOwnNamespace } from "./host-look.ts";
import { lateStop, logsSince, stateOf } from "./state.ts";
import { Demultiplexer } from "./streams.ts";
import { ulimitsOf } from "./ulimits.ts";

const service = aService("front");
const names = {
  project: "p1",
  owner: "{}",
  image: "image:1",
  network: (name: string) => `p1-${name}`,
  volume: (name: string) => `p1-${name}`,
  ulimits: [],
};

describe("a service as the engine creates it", () => {
  test("says nothing of what the image says itself", () => {
    const options = createOptions(service, names);
    for (const key of ["Entrypoint", "Cmd", "User", "WorkingDir", "StopSignal"] as const) {
      assert.ok(!(key in options), key);
    }
    assert.equal(options.name, "p1-front");
    assert.equal(options.Hostname, "front");
    assert.deepEqual(options.NetworkingConfig?.EndpointsConfig, {
      "p1-default": { Aliases: ["front", "front--registered"] },
    });
  });

  test("an entrypoint takes the image's command away, as in Compose", () => {
    const options = createOptions({ ...service, entrypoint: ["/bin/sh"] }, names);
    assert.deepEqual([options.Entrypoint, options.Cmd], [["/bin/sh"], []]);
    const both = createOptions({ ...service, entrypoint: ["/bin/sh"], command: ["-c", "true"] }, names);
    assert.deepEqual([both.Entrypoint, both.Cmd], [["/bin/sh"], ["-c", "true"]]);
    const command = createOptions({ ...service, command: ["run"] }, names);
    assert.deepEqual([command.Entrypoint, command.Cmd], [undefined, ["run"]]);
  });

  test("the engine runs no healthcheck of its own", () => {
    assert.deepEqual(createOptions(service, names).Healthcheck, { Test: ["NONE"] });
  });

  test("mounts, ports and further networks", () => {
    const rich: ServiceSpec = {
      ...service,
      networks: [
        { name: "front", aliases: ["www"] },
        { name: "back", aliases: [] },
      ],
      mounts: [
        { kind: "bind", source: "/srv/conf", path: "/etc/conf", isReadOnly: true },
        { kind: "volume", volume: "data", path: "/data", isReadOnly: false },
        { kind: "tmpfs", path: "/tmp" },
      ],
      exposed: [{ port: 53, protocol: "udp" }],
      published: [{ port: 80, protocol: "tcp", hostIp: "127.0.0.1", hostPort: 0 }],
    };
    const options = createOptions(rich, names);
    assert.deepEqual(options.HostConfig?.Binds, ["/srv/conf:/etc/conf:ro", "p1-data:/data"]);
    assert.deepEqual(options.HostConfig?.Tmpfs, { "/tmp": "" });
    assert.deepEqual(options.ExposedPorts, { "53/udp": {}, "80/tcp": {} });
    assert.deepEqual(options.HostConfig?.PortBindings, {
      "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "" }],
    });
    assert.deepEqual(options.NetworkingConfig?.EndpointsConfig, {
      "p1-front": { Aliases: ["front", "front--registered", "www"] },
    });
    assert.deepEqual(laterNetworks(rich, names), [
      { network: "p1-back", endpoint: { Aliases: ["front", "front--registered"] } },
    ]);
  });
});

describe("what an inspection says", () => {
  const base = {
    Status: "",
    Running: false,
    Paused: false,
    Restarting: false,
    OOMKilled: false,
    Dead: false,
    Pid: 0,
    ExitCode: 0,
    Error: "",
    StartedAt: "0001-01-01T00:00:00Z",
    FinishedAt: "0001-01-01T00:00:00Z",
  };
  const rows: readonly [string, object, object][] = [
    ["created", {}, { status: "created", exitCode: undefined, startedAtMs: undefined }],
    [
      "running",
      { Running: true, StartedAt: "2024-05-01T10:00:00.5Z" },
      { status: "running", startedAtMs: 1714557600500 },
    ],
    [
      "ended by itself",
      { ExitCode: 3, StartedAt: "2024-05-01T10:00:00Z", FinishedAt: "2024-05-01T10:00:01Z" },
      { status: "exited", exitCode: 3, signal: undefined, finishedAtMs: 1714557601000 },
    ],
    [
      "killed for its memory",
      { ExitCode: 137, OOMKilled: true, FinishedAt: "2024-05-01T10:00:01Z" },
      { status: "exited", exitCode: 137, signal: 9, isOomKilled: true },
    ],
    [
      "Docker's restarting container, which it says runs",
      { Running: true, Restarting: true, ExitCode: 1, FinishedAt: "2024-05-01T10:00:01Z" },
      { status: "exited", exitCode: 1 },
    ],
    [
      "Podman's end before the start",
      { ExitCode: 0, StartedAt: "2024-05-01T10:00:01.2Z", FinishedAt: "2024-05-01T10:00:01Z" },
      { startedAtMs: 1714557601200, finishedAtMs: 1714557601200 },
    ],
  ];
  for (const [name, State, expected] of rows) {
    test(name, () => {
      const state = stateOf({ State: { ...base, ...State }, RestartCount: 0 } as never);
      assert.partialDeepStrictEqual(state, expected as never);
    });
  }
});

test("a process is a container's first when it is number 1 of a namespace below ours", () => {
  const rows: readonly (readonly [string, boolean])[] = [
    ["Name:\tnginx\nNSpid:\t4321\t1\n", true],
    ["NSpid:\t4321\t77\t1\n", true],
    ["NSpid:\t4321\n", false], // of this machine, and only has the number
    ["NSpid:\t4321\t12\n", false],
    ["NSpid:\t1\n", false],
    ["", false],
  ];
  for (const [status, expected] of rows) assert.equal(isFirstOfOwnNamespace(status), expected, status);
});

test("what could not be killed had ended by itself, when the engine says so", () => {
  const rows: readonly (readonly [couldKill: boolean, finishedAtMs: number | undefined, number, boolean])[] =
    [
      [true, 12_050, 2_050, true],
      [false, 10_120, 120, false],
      [false, 9_900, 0, false], // Podman's times are whole seconds
      [false, 99_000, 2_050, false], // an engine elsewhere, whose clock is ahead
      [false, undefined, 2_050, false],
    ];
  for (const [couldKill, finishedAtMs, tookMs, wasKilled] of rows) {
    const end = lateStop({ couldKill, finishedAtMs, waitedMs: 2_050, sentAtMs: 10_000 });
    assert.deepEqual(end, { tookMs, wasKilled });
  }
});

test("a log begins with the container, of one that was started again with the end of the life before", () => {
  const since = (RestartCount: number, StartedAt: string, FinishedAt: string): number =>
    logsSince({ State: { StartedAt, FinishedAt }, RestartCount } as never);
  const never = "0001-01-01T00:00:00Z";
  assert.equal(since(0, "2024-05-01T10:00:01.005Z", never), 0);
  assert.equal(since(1, "2024-05-01T10:00:01.005Z", "2024-05-01T10:00:00.9Z"), 1714557600.9);
  assert.equal(since(1, "2024-05-01T10:00:01.005Z", "2024-05-01T10:00:03Z"), 1714557601.005);
  assert.equal(since(1, "2024-05-01T10:00:01.005Z", never), 1714557601.005);
});

describe("frames of output", () => {
  const frame = (stream: number, text: string): Buffer => {
    const head = Buffer.alloc(8);
    head[0] = stream;
    head.writeUInt32BE(Buffer.byteLength(text), 4);
    return Buffer.concat([head, Buffer.from(text)]);
  };

  test("are put together wherever the transport cuts them", () => {
    const all = Buffer.concat([frame(1, "out 1\n"), frame(2, "err\n"), frame(1, "ü"), frame(1, "")]);
    for (let size = 1; size <= all.length; size += 1) {
      const frames = new Demultiplexer(1024);
      for (let at = 0; at < all.length; at += size) frames.push(all.subarray(at, at + size));
      assert.deepEqual(frames.output(), { stdout: "out 1\nü", stderr: "err\n" }, `pieces of ${size}`);
    }
  });

  test("keep the end of what is too long, each stream for itself", () => {
    const frames = new Demultiplexer(6);
    for (const text of ["one ", "two ", "three "]) frames.push(frame(1, text));
    frames.push(frame(2, "err"));
    assert.deepEqual(frames.output(), { stdout: "three ", stderr: "err" });
  });
});

test("limits of a container are at most our own, and what is unlimited is the engine's affair", () => {
  const limits = `Limit                     Soft Limit           Hard Limit           Units
Max processes             96000                96382                processes
Max open files            1024                 524288               files
`;
  assert.deepEqual(ulimitsOf(limits, 32768), [
    { Name: "nproc", Soft: 32768, Hard: 32768 },
    { Name: "nofile", Soft: 524288, Hard: 524288 },
  ]);
  assert.deepEqual(ulimitsOf(limits.replace("524288", "unlimited"), 4194304), [
    { Name: "nproc", Soft: 96382, Hard: 96382 },
  ]);
});
