import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatLabelSelector, matchesLabels, matchesRequirements, parseLabelSelector } from "./labels.ts";

const web = { app: "web", tier: "front", weight: "10", empty: "" };

const matching: [selector: string, matches: boolean][] = [
  ["", true],
  ["app", true],
  ["app=web", true],
  ["app==web", true],
  [" app = web ", true],
  ["app=web,tier=front", true],
  ["app=web,tier=back", false],
  ["app!=web", false],
  ["missing!=web", true],
  ["!app", false],
  ["!missing", true],
  ["app in (web,api)", true],
  ["app in (api)", false],
  ["app notin (web)", false],
  ["missing notin (web)", true],
  ["app in (web), tier notin (back), !canary", true],
  ["empty=", true],
  ["empty in (,a)", true],
  ["app=", false],
  ["weight>9", true],
  ["weight<10", false],
  ["app>1", false],
  ["example.com/app!=x", true],
];

for (const [selector, matches] of matching) {
  test(`"${selector}" ${matches ? "selects" : "does not select"} the web pod`, () => {
    assert.equal(matchesRequirements(parseLabelSelector(selector), web), matches);
  });
}

const refused: [selector: string, message: RegExp][] = [
  ["a b", /^unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt$/],
  ["a=b,", /^found '', expected: identifier after ','$/],
  [",a", /^found ',', expected: !, identifier, or 'end of string'$/],
  ["a=b c", /^found 'c', expected: ',' or 'end of string'$/],
  ["a in b", /^unable to parse requirement: found 'b' expected: '\('$/],
  ["a in (b", /^unable to parse requirement: found '', expected: ',', or '\)'$/],
  ["a in (b c)", /^unable to parse requirement: found 'c', expected: ',', or '\)'$/],
  ["!", /^unable to parse requirement: found '', expected: identifier$/],
  ["a>x", /for 'Gt', 'Lt' operators, the value must be an integer$/],
  ["-a", /Invalid value: "-a": name part must consist of/],
  ["a/b/c", /Invalid value: "a\/b\/c": a qualified name must consist of/],
  ["A.com/b", /Invalid value: "A.com\/b": prefix part a lowercase RFC 1123 subdomain/],
  ["/b", /prefix part must be non-empty$/],
  ["a=-b", /Invalid value: "-b": a valid label must be an empty string or/],
  [`a=${"b".repeat(64)}`, /must be no more than 63 characters$/],
];

for (const [selector, message] of refused) {
  test(`"${selector.slice(0, 20)}" is a bad request`, () => {
    assert.throws(() => parseLabelSelector(selector), { reason: "BadRequest", message });
  });
}

test("no selector selects nothing, an empty one everything", () => {
  assert.equal(matchesLabels(undefined, web), false);
  assert.equal(matchesLabels({}, web), true);
  assert.equal(matchesLabels({}, undefined), true);
});

test("all parts of a LabelSelector must hold", () => {
  const selector = {
    matchLabels: { app: "web" },
    matchExpressions: [
      { key: "tier", operator: "In", values: ["front"] },
      { key: "canary", operator: "DoesNotExist" },
    ],
  } as const;
  assert.equal(matchesLabels(selector, web), true);
  assert.equal(matchesLabels(selector, { ...web, canary: "" }), false);
  assert.equal(matchesLabels(selector, { ...web, app: "api" }), false);
  assert.equal(formatLabelSelector(selector), "app=web,!canary,tier in (front)");
});

test("what is formatted parses back to the same", () => {
  const word = fc.stringMatching(/^[a-z]{1,6}$/).filter((text) => text !== "in" && text !== "notin");
  const requirement = fc.oneof(
    fc.record({ key: word, operator: fc.constantFrom("=", "!="), values: fc.tuple(word) }),
    fc.record({ key: word, operator: fc.constantFrom("exists", "!"), values: fc.constant([]) }),
    fc.record({
      key: word,
      operator: fc.constantFrom("in", "notin"),
      values: fc.uniqueArray(word, { minLength: 1 }).map((values) => values.sort()),
    }),
  );
  fc.assert(
    fc.property(fc.uniqueArray(requirement, { selector: (item) => item.key }), (requirements) => {
      const text = formatLabelSelector(requirements as Parameters<typeof formatLabelSelector>[0]);
      assert.equal(formatLabelSelector(parseLabelSelector(text)), text);
      assert.equal(parseLabelSelector(text).length, requirements.length);
    }),
  );
});
