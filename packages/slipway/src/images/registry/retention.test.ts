import assert from "node:assert/strict";
import { mkdtemp, rm, utimes } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type Clock, systemClock } from "@slipway/base";
import { type HeldManifest, ImageLayout } from "../layout.ts";
import { type Descriptor, encodeDocument, MEDIA } from "../oci.ts";
import { type Needs, outdated, type RepositoryContents, type RetentionRule } from "./retention.ts";
import { putImage } from "./testing/images.ts";
import { tidyRegistry } from "./tidy.ts";

const DAY = 24 * 60 * 60 * 1000;
const NOW = 100 * DAY;
const none: Needs = { digests: new Set(), names: new Set() };

/** `a` pushed so many days ago under these tags. */
const held = (letter: string, daysAgo: number | undefined, ...tags: string[]): HeldManifest => ({
  descriptor: { mediaType: MEDIA.manifest, digest: letter, size: 1 },
  tags,
  pushedAtMs: daysAgo === undefined ? undefined : NOW - daysAgo * DAY,
  subject: undefined,
});

const manifests = [
  held("a", 1, "v5"),
  held("b", 10, "v4"),
  held("c", 20, "v3", "stable"),
  held("d", 30, "v2"),
  held("e", 40, "v1"),
  held("f", 15),
];
const contents = (more: Partial<RepositoryContents> = {}): RepositoryContents => ({
  repository: "shop/web",
  manifests,
  children: new Map(),
  subjects: new Map(),
  ...more,
});

const rows: readonly {
  readonly what: string;
  readonly rule: RetentionRule | undefined;
  readonly needs?: Needs;
  readonly contents?: RepositoryContents;
  readonly tags: readonly string[];
  readonly manifests: readonly string[];
}[] = [
  { what: "no rule", rule: undefined, tags: [], manifests: [] },
  { what: "an empty rule", rule: {}, tags: [], manifests: [] },
  {
    what: "the last three tags",
    rule: { keepLast: 3 },
    tags: ["stable", "v2", "v1"],
    manifests: ["d", "e", "f"],
  },
  {
    what: "what is younger than 25 days",
    rule: { keepForMs: 25 * DAY },
    tags: ["v2", "v1"],
    manifests: ["d", "e"],
  },
  {
    what: "either reason is enough",
    rule: { keepLast: 1, keepForMs: 12 * DAY },
    tags: ["v3", "stable", "v2", "v1"],
    manifests: ["c", "d", "e", "f"],
  },
  {
    what: "a release names the digest: its tags stay as well",
    rule: { keepLast: 1 },
    needs: { digests: new Set(["d", "f"]), names: new Set() },
    tags: ["v4", "v3", "stable", "v1"],
    manifests: ["b", "c", "e"],
  },
  {
    what: "a release names a tag",
    rule: { keepLast: 1 },
    needs: { digests: new Set(), names: new Set(["shop/web:v1", "other/web:v2"]) },
    tags: ["v4", "v3", "stable", "v2"],
    manifests: ["b", "c", "d", "f"],
  },
  {
    what: "an index keeps its images, an image what is about it, and that what is about it",
    rule: { keepLast: 1 },
    contents: contents({
      children: new Map([["a", ["b"]]]),
      subjects: new Map([
        ["d", "f"],
        ["f", "b"],
        ["e", "c"],
      ]),
    }),
    tags: ["v4", "v3", "stable", "v2", "v1"],
    manifests: ["c", "e"],
  },
  {
    what: "what another program wrote is left alone",
    rule: { keepLast: 0 },
    contents: contents({ manifests: [held("x", undefined, "theirs"), held("y", undefined)] }),
    tags: [],
    manifests: [],
  },
];

for (const { what, rule, needs = none, contents: of = contents(), tags, manifests: gone } of rows) {
  test(`what goes: ${what}`, () => {
    const found = outdated(of, rule, needs, { now: NOW, graceMs: 60_000 });
    assert.deepEqual([found.tags, found.manifests], [tags, gone]);
  });
}

/** A layout with a release every day: `v1` on day 1, and so on, each with a layer of its own. */
async function history(
  body: (scene: {
    layout: ImageLayout;
    images: readonly Descriptor[];
    today: (day: number) => number;
    tidy: (day: number, needs: Needs, isDryRun?: boolean) => ReturnType<typeof tidyRegistry>;
  }) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "slipway-retention-"));
  let now = 0;
  const clock: Clock = { ...systemClock, now: () => now };
  try {
    const layout = await ImageLayout.open(folder, { clock });
    const images: Descriptor[] = [];
    for (let day = 1; day <= 5; day += 1) {
      now = day * DAY;
      const image = await putImage(layout, { seed: day, layers: [1000 * day] });
      await layout.hold("shop/web", image, [`v${day}`]);
      images.push(image);
      for (const digest of await layout.reachable())
        await utimes(layout.blobPath(digest), now / 1000, now / 1000);
    }
    const tidy = (day: number, needs: Needs, isDryRun = false): ReturnType<typeof tidyRegistry> =>
      tidyRegistry(layout, {
        ruleOf: () => ({ keepLast: 2 }),
        needs,
        now: day * DAY,
        graceMs: 60_000,
        isDryRun,
      });
    await body({ layout, images, today: (day) => day * DAY, tidy });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const layersOf = async (layout: ImageLayout, image: Descriptor): Promise<readonly string[]> =>
  (await layout.readJson<{ layers: Descriptor[] }>(image.digest)).layers.map(({ digest }) => digest);

test("what is out of date goes with its blobs; what a release may go back to stays whole", () =>
  history(async ({ layout, images, tidy }) => {
    const [, second] = images as [Descriptor, Descriptor];
    const needs: Needs = { digests: new Set([second.digest]), names: new Set() };
    const { repositories, swept } = await tidy(10, needs);
    assert.deepEqual(
      repositories.map(({ repository, tags }) => [repository, tags]),
      [["shop/web", ["v3", "v1"]]],
    );
    assert.equal(swept.blobs.length, 6);
    assert.ok(swept.freedBytes > 4000);
    for (const [position, image] of images.entries()) {
      const isKept = [1, 3, 4].includes(position);
      assert.equal((await layout.size(image.digest)) !== undefined, isKept, `v${position + 1}`);
      if (!isKept) continue;
      for (const digest of await layersOf(layout, image)) await layout.read(digest);
    }
    assert.deepEqual((await tidy(10, needs)).swept.blobs, []);
  }));

test("a dry run says the same and changes nothing", () =>
  history(async ({ layout, tidy }) => {
    const would = await tidy(10, none, true);
    assert.equal((await layout.manifests("shop/web"))?.length, 5);
    const did = await tidy(10, none);
    assert.deepEqual(did, would);
    assert.equal((await layout.manifests("shop/web"))?.length, 2);
  }));

test("a digest that a release names stays although no repository holds it", () =>
  history(async ({ layout, images, tidy }) => {
    const first = images[0] as Descriptor;
    await layout.release("shop/web", first.digest);
    await tidy(10, { digests: new Set([first.digest]), names: new Set() });
    for (const digest of await layersOf(layout, first)) await layout.read(digest);
  }));

test("blobs that a push has just relied on stay for their grace", () =>
  history(async ({ layout, images, tidy, today }) => {
    const layer = (await layersOf(layout, images[0] as Descriptor))[0] as string;
    await utimes(layout.blobPath(layer), today(10) / 1000, today(10) / 1000);
    const { swept } = await tidy(10, none);
    assert.ok(!swept.blobs.some(({ digest }) => digest === layer));
    assert.equal((await layout.read(layer)).length, 1000);
  }));

test("an image that several platforms share keeps every one of them", () =>
  history(async ({ layout, images, tidy }) => {
    const index = await layout.put(
      encodeDocument({ schemaVersion: 2, mediaType: MEDIA.index, manifests: images.slice(0, 2) }),
    );
    await layout.hold("shop/multi", { mediaType: MEDIA.index, ...index }, ["v1"]);
    await tidy(10, none);
    for (const image of images.slice(0, 2)) {
      for (const digest of await layersOf(layout, image)) await layout.read(digest);
    }
    assert.equal(await layout.size((images[2] as Descriptor).digest), undefined);
  }));
