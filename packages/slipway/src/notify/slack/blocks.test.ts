/** The message as Slack gets it: golden blocks, and that no content can break its limits. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { ReleaseMessage } from "../message.ts";
import { detailBlocks, escapedWithin, releaseBlocks } from "./blocks.ts";

const on = { service: "shop", environment: "production", number: 7 };

const message: ReleaseMessage = {
  state: "failed",
  title: "shop: release 7 failed and still runs in a cluster",
  cause: "tokyo: Deployment web, pod web-x, container web: crashed twice: exit code 1 <eof> (ContainerCrash)",
  facts: [
    { label: "by", value: "aki <cli>" },
    { label: "author", value: "Mika & Co" },
    { label: "took", value: "3 min 12 s, median of the last 10: 2 min 40 s" },
  ],
  clusters: [
    { name: "tokyo", wave: 0, mark: "failed", text: "failed after 2.1 s: ContainerCrash" },
    { name: "osaka", wave: 1, mark: "baking", text: "must stay healthy for 1 min 00 s" },
  ],
  author: { name: "Mika & Co", email: "mika@example.com" },
  actions: [
    { kind: "roll-back", on, to: 5 },
    { kind: "hold", on },
  ],
};

test("golden: the cause on top, a line per cluster, the facts, the buttons with their confirmations", () => {
  assert.deepEqual(releaseBlocks(message, { mention: "U0MIKA", buttons: true }), {
    text: `${message.title}: ${message.cause?.replace("<eof>", "&lt;eof&gt;")}`,
    blocks: [
      {
        type: "header",
        text: { type: "plain_text", text: "❌ shop: release 7 failed and still runs in a cluster" },
      },
      {
        type: "section",
        text: {
          type: "mrkdwn",
          text: "*tokyo: Deployment web, pod web-x, container web: crashed twice: exit code 1 &lt;eof&gt; (ContainerCrash)*",
        },
      },
      {
        type: "section",
        text: {
          type: "mrkdwn",
          text: "🔴 *tokyo*  failed after 2.1 s: ContainerCrash\n🟡 *osaka*  must stay healthy for 1 min 00 s",
        },
      },
      {
        type: "context",
        elements: [
          {
            type: "mrkdwn",
            text: "by *aki &lt;cli&gt;*  ·  author <@U0MIKA>  ·  took *3 min 12 s, median of the last 10: 2 min 40 s*",
          },
        ],
      },
      {
        type: "actions",
        block_id: "slipway",
        elements: [
          {
            type: "button",
            action_id: "slipway_roll_back",
            text: { type: "plain_text", text: "Roll back to 5" },
            style: "danger",
            value: '{"service":"shop","environment":"production","release":7,"to":5}',
            confirm: {
              title: { type: "plain_text", text: "Roll back shop (production)?" },
              text: {
                type: "plain_text",
                text: "This takes shop (production) from release 7 back to release 5 in all clusters at once, and holds the images it leaves.",
              },
              confirm: { type: "plain_text", text: "Roll back" },
              deny: { type: "plain_text", text: "Cancel" },
            },
          },
          {
            type: "button",
            action_id: "slipway_hold",
            text: { type: "plain_text", text: "Hold" },
            value: '{"service":"shop","environment":"production","release":7}',
            confirm: {
              title: { type: "plain_text", text: "Hold release 7?" },
              text: {
                type: "plain_text",
                text: "The images of release 7 of shop (production) are not deployed again until slipway release unhold 7. What runs is not changed.",
              },
              confirm: { type: "plain_text", text: "Hold" },
              deny: { type: "plain_text", text: "Cancel" },
            },
          },
        ],
      },
    ],
  });
});

test("without a listener there are no buttons, without an id the author stands in plain text", () => {
  const { blocks } = releaseBlocks(message);
  assert.ok(blocks.every(({ type }) => type !== "actions"));
  assert.match(JSON.stringify(blocks), /author \*Mika &amp; Co\*/);
});

test("a detail keeps the beginning and the end of a long log, and a fence in it does not end ours", () => {
  const log = Array.from({ length: 900 }, (_, index) => `line ${index} of \`\`\` the log`).join("\n");
  const { blocks } = detailBlocks({ title: "Why", text: "", code: log });
  const texts = blocks.map(({ text }) => (text as { text: string }).text);
  assert.ok(texts.length <= 6);
  assert.match(texts[1] ?? "", /^```line 0 /);
  assert.match(texts.at(-1) ?? "", /line 899 of .* the log```$/);
  assert.ok(texts.slice(1).every((text) => text.split("```").length === 3));
});

test("300 clusters fit, and those beyond are counted", () => {
  const clusters = Array.from({ length: 900 }, (_, index) => ({
    name: `cluster-${index}`,
    wave: 0,
    mark: "healthy" as const,
    text: "healthy after 2 min 10 s",
  }));
  const { blocks } = releaseBlocks({ ...message, clusters });
  assert.ok(blocks.length <= 50);
  const all = JSON.stringify(blocks);
  assert.match(all, /cluster-300\*/);
  assert.match(all, /… \d+ more lines/);
});

const anyText = fc.oneof(fc.string({ unit: "grapheme", maxLength: 8000 }), fc.constant("&<>".repeat(2000)));

test("whatever a release says, no text is longer than Slack takes and no escape is cut", () => {
  fc.assert(
    fc.property(anyText, anyText, (title, text) => {
      const { blocks, text: fallback } = releaseBlocks(
        {
          ...message,
          title: title || "x",
          cause: text,
          clusters: [{ name: title, wave: 0, mark: "failed", text }],
          facts: [{ label: "author", value: text }],
        },
        { buttons: true, note: text },
      );
      const detail = detailBlocks({ title, text, code: `${text}\n${title}` });
      for (const block of [...blocks, ...detail.blocks]) {
        const holder = (block["text"] ?? (block["elements"] as readonly unknown[])[0]) as {
          readonly text: string;
        };
        const limit = block.type === "header" ? 150 : 3000;
        if (typeof holder.text === "string") {
          assert.ok(holder.text.length <= limit, `${block.type}: ${holder.text.length}`);
          if (block.type !== "header") assert.doesNotMatch(holder.text, /&(?!amp;|lt;|gt;)/);
        }
      }
      assert.ok(fallback.length <= 3000);
    }),
    { numRuns: 60 },
  );
});

const cuts: readonly (readonly [text: string, limit: number, cut: string])[] = [
  ["abc", 3, "abc"],
  ["abcd", 3, "ab…"],
  ["a&b", 7, "a&amp;b"],
  ["a&b", 6, "a…"],
  ["👩‍🚀x", 3, "👩…"],
];
for (const [text, limit, cut] of cuts) {
  test(`${JSON.stringify(text)} within ${limit} is ${JSON.stringify(cut)}`, () => {
    assert.equal(escapedWithin(text, limit), cut);
  });
}
