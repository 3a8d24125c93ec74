import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ServiceMount, ServiceSpec } from "../engine.ts";
import { aService } from "../testing.ts";
import { planCopies, type SourceKind } from "./copies.ts";

const KINDS: Readonly<Record<string, SourceKind>> = {
  "/src/app": "folder",
  "/src/web.conf": "file",
  "/src/docker.sock": "other",
};
const plan = (...services: readonly ServiceSpec[]) =>
  planCopies({ name: "shop", services }, (source) => KINDS[source] ?? "absent", "tcp://builder:2376");
const bind = (source: string, path: string, isReadOnly = true): ServiceMount => ({
  kind: "bind",
  source,
  path,
  isReadOnly,
});
const mountsOf = (services: readonly ServiceSpec[]): readonly string[] =>
  services.flatMap(({ name, mounts }) =>
    mounts.map((mount) =>
      mount.kind === "volume"
        ? `${name}: ${mount.volume} at ${mount.path}${mount.isReadOnly ? ", read-only" : ""}`
        : `${name}: ${mount.kind} at ${mount.path}`,
    ),
  );

test("a folder is a volume that its services share, and the other mounts stay", () => {
  const { services, folders, files } = plan(
    aService("web", { mounts: [bind("/src/app", "/app"), { kind: "tmpfs", path: "/tmp" }] }),
    aService("worker", { mounts: [bind("/src/app", "/srv", false), bind("/src/none", "/data", false)] }),
    aService("db"),
  );
  assert.deepEqual(mountsOf(services), [
    "web: from-here-1 at /app, read-only",
    "web: tmpfs at /tmp",
    "worker: from-here-1 at /srv",
    "worker: from-here-2 at /data",
  ]);
  assert.deepEqual(folders, [
    { volume: "from-here-1", source: "/src/app", files: [] },
    { volume: "from-here-2", source: undefined, files: [] },
  ]);
  assert.deepEqual(files, []);
});

test("a file goes into its container, or into the folder that it is mounted over, which is then nobody else's", () => {
  const { services, folders, files } = plan(
    aService("web", { mounts: [bind("/src/web.conf", "/etc/web.conf")] }),
    aService("api", { mounts: [bind("/src/app", "/app"), bind("/src/web.conf", "/app/conf/own.conf")] }),
    aService("worker", { mounts: [bind("/src/app", "/app")] }),
  );
  assert.deepEqual(files, [{ service: "web", source: "/src/web.conf", path: "/etc/web.conf" }]);
  assert.deepEqual(folders, [
    {
      volume: "from-here-1",
      source: "/src/app",
      files: [{ source: "/src/web.conf", path: "conf/own.conf" }],
    },
    { volume: "from-here-2", source: "/src/app", files: [] },
  ]);
  assert.deepEqual(mountsOf(services), [
    "api: from-here-1 at /app, read-only",
    "worker: from-here-2 at /app, read-only",
  ]);
});

describe("what cannot be a copy is refused with its place", () => {
  const conf = bind("/src/web.conf", "/data/web.conf");
  const volume: ServiceMount = { kind: "volume", volume: "data", path: "/data", isReadOnly: false };
  const cases: readonly (readonly [string, Partial<ServiceSpec>, string])[] = [
    [
      "a socket",
      { mounts: [bind("/src/docker.sock", "/run/docker.sock")] },
      "/src/docker.sock:/run/docker.sock: neither a folder nor a file",
    ],
    [
      "a file in a read-only root",
      { mounts: [conf], isReadOnly: true },
      "/src/web.conf:/data/web.conf: a file of a root that is read-only",
    ],
    [
      "a file in a volume",
      { mounts: [volume, conf] },
      "/src/web.conf:/data/web.conf: a file in the volume at /data",
    ],
    [
      "a file in a tmpfs",
      { mounts: [{ kind: "tmpfs", path: "/data/" }, conf] },
      "/src/web.conf:/data/web.conf: a file in the tmpfs at /data/",
    ],
  ];
  for (const [what, over, problem] of cases) {
    test(what, () => {
      assert.throws(
        () => plan(aService("web", over)),
        (error: { code: string; message: string; exitCode: number }) => {
          assert.deepEqual([error.code, error.exitCode], ["ENGINE_UNSUPPORTED", 2]);
          assert.equal(error.message.split("\n").at(-1), `  services/web/volumes: ${problem}`);
          return true;
        },
      );
    });
  }
});
