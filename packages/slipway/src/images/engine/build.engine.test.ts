/** Dockerfiles built by the engines of this machine, Docker and Podman, and taken into the layout. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { exec, SlipwayError } from "@slipway/base";
import type { ImageSourceConfig } from "../../config/types.ts";
import { type BuildEvent, buildImages } from "../build.ts";
import { ImageFiles } from "../layers.ts";
import { ImageLayout } from "../layout.ts";
import type { Platform } from "../oci.ts";
import type { RegistryClient } from "../registry/client.ts";
import { readImage } from "../source.ts";
import type { Builder } from "./engine.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-engine-test-"));
});
after(() => rm(folder, { recursive: true, force: true }));

const DOCKERFILE = `FROM scratch AS files
ARG NAME=none
COPY a.txt /from/a.txt
FROM scratch AS last
COPY --from=files /from /to
LABEL name=own
USER 1000
CMD ["/to/a.txt"]
FROM scratch
COPY b.txt /b.txt
`;

async function build(
  builder: Builder,
  dockerfile: string,
  from: Partial<ImageSourceConfig["from"] & { readonly kind: "context" }> = {},
  env: NodeJS.ProcessEnv = process.env,
  platforms?: readonly Platform[],
  bases?: Readonly<Record<string, string>>,
): Promise<{ events: readonly BuildEvent[]; layout: ImageLayout }> {
  const root = await mkdtemp(join(folder, "project-"));
  await mkdir(join(root, ".slipway"));
  await writeFile(join(root, ".slipway", ".gitignore"), "*\n");
  await writeFile(join(root, "Dockerfile"), dockerfile);
  await writeFile(join(root, "a.txt"), "a");
  await writeFile(join(root, "b.txt"), "b");
  const layout = await ImageLayout.open(join(root, ".slipway", "layout"));
  const events: BuildEvent[] = [];
  await buildImages({
    images: [
      {
        name: "web",
        from: { kind: "context", context: root, dockerfile: join(root, "Dockerfile"), args: {}, ...from },
      },
    ],
    layout,
    registry: {} as RegistryClient,
    root,
    commitTimeMs: 1_700_000_000_000,
    revision: "abc",
    isLocal: true,
    allowHostBases: [],
    builder,
    env,
    ...(platforms === undefined ? {} : { platforms }),
    ...(bases === undefined ? {} : { bases }),
    onProgress: (event) => events.push(event),
  });
  return { events, layout };
}

for (const builder of ["docker", "podman", "slipway"] as const) {
  test(`${builder}: stages, target, labels and files arrive in the layout`, async () => {
    const { layout } = await build(builder, DOCKERFILE, { target: "last" });
    const image = await readImage(layout, "web", "latest");
    assert.ok(image !== undefined);
    assert.deepEqual(image.config.config.Cmd, ["/to/a.txt"]);
    assert.equal(image.config.config.User, "1000");
    assert.equal(image.config.config.Labels?.["name"], "own");
    assert.equal(image.config.config.Labels?.["org.opencontainers.image.revision"], "abc");
    const files = await ImageFiles.open(layout, image.manifest);
    const found = files.lookup("/to/a.txt");
    assert.equal(found.kind === "found" && (await files.readText(found.node)), "a");
    assert.equal(files.lookup("/b.txt").kind, "absent");
  });
}

for (const builder of ["docker", "podman"] as const) {
  test(`${builder}: the local world's state is not sent, and a failure shows its last lines`, async () => {
    const { layout } = await build(builder, "FROM scratch\nCOPY . /all\n");
    const image = await readImage(layout, "web", "latest");
    const files = await ImageFiles.open(layout, image?.manifest ?? { layers: [] });
    assert.equal(files.lookup("/all/a.txt").kind, "found");
    assert.equal(files.lookup("/all/.slipway").kind, "absent");
    await assert.rejects(build(builder, "FROM scratch\nCOPY missing.txt /x\n"), (error: unknown) => {
      assert.ok(error instanceof SlipwayError);
      assert.equal(error.code, "IMAGES_ENGINE_FAILED");
      assert.match(error.message, /missing\.txt/);
      return true;
    });
  });

  test(`${builder}: a base that only slipway has is built by slipway, and said`, async () => {
    const { events, layout } = await build(builder, "FROM slipway/node\nCOPY a.txt /a.txt\n");
    const notes = events.flatMap((event) => (event.kind === "note" ? [event.message] : []));
    assert.equal(notes.length, 1);
    assert.match(
      notes[0] ?? "",
      /^built by slipway, not .*: Dockerfile names slipway\/node, which only slipway has$/,
    );
    assert.ok((await readImage(layout, "web", "latest")) !== undefined);
  });

  test(`${builder}: a base that another one stands in for is told with it`, async () => {
    const bases = { "node:22-slim": "slipway/node" };
    const dockerfile = "FROM node:22-slim\nCOPY a.txt /a.txt\n";
    const { events } = await build(builder, dockerfile, {}, process.env, undefined, bases);
    const notes = events.flatMap((event) => (event.kind === "note" ? [event.message] : []));
    assert.equal(notes.length, 1);
    assert.match(
      notes[0] ?? "",
      /: Dockerfile names node:22-slim, here slipway\/node, which only slipway has$/,
    );
  });
}

/**
 * Debian has no buildx: in its place a plugin that hands the same words to Docker's classic builder, and refuses what
 * buildx refuses with its default driver.
 */
const PLUGIN = `#!/bin/sh
case "$1" in
docker-cli-plugin-metadata)
  echo '{"SchemaVersion":"0.1.0","Vendor":"test","Version":"v0","ShortDescription":"build"}'; exit ;;
esac
shift
[ "$1" = version ] && { echo test v0; exit; }
shift
count=$# loaded=
while [ "$count" -gt 0 ]; do
  case "$1" in
  --load) loaded=1 ;;
  --output) echo "ERROR: Docker exporter is not supported for the docker driver." >&2; exit 1 ;;
  *) set -- "$@" "$1" ;;
  esac
  shift
  count=$((count - 1))
done
[ -n "$loaded" ] || { echo "WARNING: No output specified" >&2; exit 0; }
DOCKER_BUILDKIT=0 exec docker build "$@"
`;

test("buildx: the image comes through Docker's store, and leaves nothing there", async () => {
  const config = join(folder, "docker-config");
  await mkdir(join(config, "cli-plugins"), { recursive: true });
  await writeFile(join(config, "cli-plugins", "docker-buildx"), PLUGIN, { mode: 0o755 });
  const env = { ...process.env, DOCKER_CONFIG: config };
  const { layout, events } = await build("buildx", DOCKERFILE, { target: "last" }, env);
  const image = await readImage(layout, "web", "latest");
  assert.deepEqual(image?.config.config.Cmd, ["/to/a.txt"]);
  assert.ok(events.some((event) => event.kind === "note" && /^built by docker buildx /.test(event.message)));
  const left = await exec(["docker", "image", "ls", "--quiet", "slipway-build"], { env });
  assert.equal(left.stdout, "");
});

test("podman: images for other machines are built for them, and make an index", async () => {
  const platforms = ["amd64", "arm64"].map((architecture) => ({ os: "linux", architecture }));
  const { layout } = await build("podman", DOCKERFILE, { target: "last" }, process.env, platforms);
  for (const platform of platforms)
    assert.equal(
      (await readImage(layout, "web", "latest", platform))?.config.architecture,
      platform.architecture,
    );
});

test("auto takes an engine that answers", async () => {
  const { events } = await build("auto", "FROM scratch\nCOPY a.txt /a\n");
  assert.ok(
    events.some((event) => event.kind === "note" && /^built by (?:docker|podman)/.test(event.message)),
  );
});
