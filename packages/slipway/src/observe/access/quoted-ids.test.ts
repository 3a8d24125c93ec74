/** What is remembered by bytes is what a Map would remember, and a quote is found where a look at each byte finds it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { QuotedIds, quoteAt } from "./quoted-ids.ts";

/** So many bytes may be looked at behind the limit. */
const BEHIND = 16;

const plain = fc.integer({ min: 32, max: 126 }).filter((code) => code !== 34);
/** Values that begin and end alike, of every length around the blocks. */
const value = fc
  .tuple(
    fc.constantFrom("", "Mozilla/5.0 (compatible; "),
    fc.array(plain, { maxLength: 70 }),
    fc.nat({ max: 40 }),
  )
  .map(([before, middle, after]) => `${before}${String.fromCharCode(...middle)}${"z".repeat(after)}`);
const distinct = fc.uniqueArray(fc.oneof(value, fc.constantFrom("x".repeat(512), "x".repeat(513))), {
  minLength: 1,
  maxLength: 40,
});

function viewOf(text: string, before: number): DataView {
  const bytes = Buffer.concat([Buffer.alloc(before), Buffer.from(text, "latin1"), Buffer.alloc(BEHIND, "9")]);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

test("a value that was kept is found, and no other in its place", () => {
  fc.assert(
    fc.property(
      distinct,
      fc.array(fc.tuple(fc.nat(), fc.nat({ max: 7 }), fc.string()), { maxLength: 200 }),
      (values, asked) => {
        const ids = new QuotedIds();
        const known = new Set<number>();
        for (const [which, before, behind] of asked) {
          const id = 1 + (which % values.length);
          const text = values[id - 1] as string;
          const view = viewOf(`${text}"${behind}`, before);
          const found = ids.find(view, before, view.byteLength - BEHIND);
          assert.equal(ids.end, before + text.length);
          // More values of one set than it has places push each other out; there are too few here.
          assert.equal(found, known.has(id) ? id : 0);
          if (found !== 0) continue;
          ids.keep(view, before, id);
          if (text.length <= 512) known.add(id);
        }
      },
    ),
    { numRuns: 500 },
  );
});

test("when all places are taken, values are forgotten and never mistaken", () => {
  const ids = new QuotedIds();
  const texts = Array.from(
    { length: 10_000 },
    (_, index) => `agent/${index} ${"of some length ".repeat(index % 3)}`,
  );
  let found = 0;
  for (const which of [...texts.keys(), ...texts.keys()]) {
    const view = viewOf(`${texts[which]}"`, 3);
    const id = ids.find(view, 3, view.byteLength - BEHIND);
    assert.ok(id === 0 || id === which + 1);
    if (id === 0) ids.keep(view, 3, which + 1);
    else found += 1;
  }
  assert.ok(found > 5000 && found < 10_000, `${found} were found again`);
});

test("the first quote is found, unless a byte before it is not printable ASCII", () => {
  const byte = fc.oneof(
    { weight: 30, arbitrary: fc.integer({ min: 32, max: 127 }) },
    { weight: 1, arbitrary: fc.constantFrom(0, 10, 31, 128, 161, 162, 163, 255) },
  );
  fc.assert(
    fc.property(fc.array(byte, { maxLength: 60 }), fc.nat({ max: 5 }), (codes, before) => {
      const view = viewOf(String.fromCharCode(...codes), before);
      const limit = before + codes.length;
      const quote = codes.indexOf(34);
      const strange = codes.findIndex((code) => code < 32 || code > 127);
      const expected = quote < 0 || (strange >= 0 && strange < quote) ? -1 : before + quote;
      assert.equal(quoteAt(view, before, limit), expected);
      const found = new QuotedIds().find(view, before, limit);
      assert.equal(found, expected < 0 ? -1 : 0);
    }),
    { numRuns: 2000 },
  );
});
