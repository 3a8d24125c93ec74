import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { TextColumn } from "./text-column.ts";

test("what was set is there, by text and by bytes, again and again", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.string({ unit: "grapheme", maxLength: 300 }), fc.boolean())),
      (texts) => {
        const column = new TextColumn(texts.length);
        for (let turn = 0; turn < 2; turn += 1) {
          for (const [row, [text, isBytes]] of texts.entries()) {
            const bytes = Buffer.from(`<<${text}${">".repeat(15)}`);
            const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
            if (isBytes) column.setBytes(row, view, 2, bytes.length - 15);
            else column.set(row, text);
          }
          for (const [row, [text]] of texts.entries()) assert.equal(column.at(row), text);
          const all = texts.map(([text]) => text).join("");
          assert.equal(column.bytesOf(0, texts.length).toString(), all);
        }
      },
    ),
  );
});
