// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the syntax of Compose
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { interpolate } from "./interpolate.ts";

const variables: Readonly<Record<string, string>> = { TAG: "1.2", EMPTY: "", _x9: "low" };
const lookup = (name: string): string | undefined => variables[name];

describe("a text with variables", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["web:$TAG", "web:1.2"],
    ["$TAG.$_x9", "1.2.low"],
    ["${TAG}x", "1.2x"],
    ["$NONE", ""],
    ["$${TAG} $$TAG", "${TAG} $TAG"],
    ["${NONE:-d} ${NONE-d} ${EMPTY:-d} ${EMPTY-d} ${TAG:-d}", "d d d  1.2"],
    ["${TAG:+y} ${EMPTY:+y} ${EMPTY+y} ${NONE+y}|", "y  y |"],
    ["${NONE:-${TAG}-${NONE:-z}}", "1.2-z"],
    ["${NONE:-}", ""],
    ["${NONE:-a:b}", "a:b"],
    ["${NONE:-$$}", "$"],
    ["${TAG:?never} ${EMPTY?set}", "1.2 "],
    ["cost: 5$$", "cost: 5$"],
  ];
  for (const [text, expected] of cases)
    test(text, () => assert.equal(interpolate(text, lookup).text, expected));
});

describe("what is refused", () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["${NONE:?set it}", /the variable NONE is required: set it/],
    ["${NONE?}", /the variable NONE is required$/],
    ["${EMPTY:?must be $TAG}", /EMPTY is required: must be 1\.2/],
    ["${TAG", /is not closed/],
    ["${TAG!x}", /not a form/],
    ["${}", /not a form/],
    ["5$", /write \$\$ for a dollar/],
    ["$1", /write \$\$ for a dollar/],
  ];
  for (const [text, expected] of cases)
    test(text, () => assert.throws(() => interpolate(text, lookup), expected));
});

test("plain variables that are not set are told, others not", () => {
  assert.deepEqual(interpolate("$A ${B} ${C:-d} ${D+x} $TAG", lookup).unset, ["A", "B"]);
});
