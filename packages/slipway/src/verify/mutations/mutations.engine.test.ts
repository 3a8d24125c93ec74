/**
 * The corpus in containers of Docker and Podman, and beside the sandbox: the same image gives the same verdict on each.
 * Containers are run for a spread of the images about what runs (see spread.ts), and for the undamaged ones; for every
 * image with SLIPWAY_ENGINE_WIDE=1, and in bench/verify.bench.ts. Needs a static busybox on this machine.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { systemClock } from "@slipway/base";
import { ImageLayout } from "../../images/layout.ts";
import { connect } from "../engines/docker/connect.ts";
import { dockerEngine } from "../engines/docker/docker.ts";
import { hostLook } from "../engines/docker/host-look.ts";
import type { Engine, EngineName } from "../engines/engine.ts";
import { createSandboxEngine } from "../engines/sandbox/engine.ts";
import { MUTATIONS } from "./mutations.ts";
import {
  type Decided,
  differences,
  falseFailures,
  falsePasses,
  runCorpus,
  show,
  undecided,
} from "./score.ts";
import { spread } from "./spread.ts";

const NAMES = ["sandbox", "docker", "podman"] as const;
const isWide = process.env["SLIPWAY_ENGINE_WIDE"] === "1";
const decidedBy = new Map<EngineName, readonly Decided[]>();

async function open(name: EngineName, folder: string): Promise<Engine> {
  const clock = systemClock;
  if (name === "sandbox") {
    const layersDirectory = join(folder, "layers");
    return createSandboxEngine({ stateDirectory: join(folder, "runs"), layersDirectory, clock });
  }
  const connection = (await connect(name, process.env)) ?? assert.fail(`no ${name} engine answers`);
  return dockerEngine({ connection, clock, look: hostLook });
}

// Two at a time: they mostly wait for what stays broken.
describe("the corpus", { concurrency: 2 }, () => {
  for (const name of NAMES) {
    describe(name, () => {
      let folder: string;
      let decided: readonly Decided[];

      before(async () => {
        folder = await mkdtemp(join(tmpdir(), "slipway-mutations-"));
        const engine = await open(name, folder);
        try {
          const layout = await ImageLayout.open(join(folder, "images"));
          decided = await runCorpus({
            layout,
            clock: systemClock,
            engine,
            busybox: "/bin/busybox",
            mutations: isWide ? MUTATIONS : spread(MUTATIONS),
            isShort: !isWide,
          });
          decidedBy.set(name, decided);
        } finally {
          await engine.close();
        }
      });
      after(() => rm(folder, { recursive: true, force: true }));

      test("on the undamaged images everything passes, nothing is unknown", () => {
        const undamaged = decided.filter(({ mutation }) => mutation === undefined);
        assert.deepEqual(undamaged.filter(({ verdict }) => verdict !== "pass").map(show), []);
      });

      test("no check passes that does not hold, and none fails that does", () => {
        assert.deepEqual(falsePasses(decided).map(show), []);
        assert.deepEqual(falseFailures(decided).map(show), []);
      });

      test("at least 95 % is decided, and unknown is only what cannot be proved", () => {
        const open = undecided(decided);
        assert.ok(open.length <= decided.length * 0.05, `${open.length} of ${decided.length} undecided`);
        assert.deepEqual(open.filter(({ isProvable }) => isProvable).map(show), []);
      });
    });
  }
});

test("every check of every image has one verdict on all of them, or is unknown", () => {
  const sandbox = decidedBy.get("sandbox") ?? [];
  assert.ok(sandbox.filter(({ needsEngine }) => needsEngine).length > 300, String(sandbox.length));
  for (const name of ["docker", "podman"] as const) {
    assert.deepEqual(differences(sandbox, decidedBy.get(name) ?? []), [], name);
  }
});
