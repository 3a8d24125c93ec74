import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { blocksOf } from "./layer-blocks.ts";

interface Entry {
  readonly path: string;
  readonly size: number;
}

const entries = fc
  .uniqueArray(fc.record({ path: fc.string({ minLength: 1 }), size: fc.nat(300_000) }), {
    selector: ({ path }) => path,
    maxLength: 80,
  })
  .map((list) => list.sort((a, b) => (a.path < b.path ? -1 : 1)));

/** As text, to be found again. */
const packed = (list: readonly Entry[]): readonly string[] =>
  blocksOf(list).map((block) => JSON.stringify(block.entries));

test("blocks hold all entries in their order", () => {
  fc.assert(
    fc.property(entries, (list) => {
      const blocks = blocksOf(list);
      assert.deepEqual(
        blocks.flatMap(({ entries }) => entries),
        list,
      );
      assert.ok(blocks.every(({ entries }) => entries.length > 0));
    }),
  );
});

test("an entry that changes, comes or goes makes at most two blocks anew", () => {
  fc.assert(
    fc.property(
      entries,
      fc.nat(),
      fc.nat(300_000),
      fc.constantFrom("size", "gone"),
      (list, at, size, how) => {
        fc.pre(list.length > 0);
        const position = at % list.length;
        const changed =
          how === "gone"
            ? list.toSpliced(position, 1)
            : list.with(position, { ...(list[position] as Entry), size });
        for (const [before, now] of [
          [list, changed],
          [changed, list],
        ] as const) {
          const known = new Set(packed(before));
          assert.ok(packed(now).filter((block) => !known.has(block)).length <= 2);
        }
      },
    ),
  );
});

test("blocks have about 128 KiB, whatever the files' size", () => {
  for (const size of [100, 5_000, 60_000]) {
    const list = Array.from({ length: 4_000 }, (_, number) => ({ path: `app/src/f${number}.js`, size }));
    const blocks = blocksOf(list);
    const mean = blocks.reduce((sum, { bytes }) => sum + bytes, 0) / blocks.length;
    assert.ok(mean > 80_000 && mean < 180_000, `${size}: ${mean}`);
  }
});
