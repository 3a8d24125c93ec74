// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables in Dockerfiles look like template strings
import assert from "node:assert/strict";
import { test } from "node:test";
import { expandWord, parseJsonForm, splitPairs, splitWords, WordError } from "./words.ts";

const variables = { NAME: "value", EMPTY: "", PATH: "/bin", TAG: "v1.2.3-rc.1", ODD: "a*b*c" };

test("variables and quotes are replaced as Docker replaces them", () => {
  const table: [string, string][] = [
    ["plain", "plain"],
    ["$NAME", "value"],
    ["${NAME}s", "values"],
    ["$NAMEs", ""],
    ["a$NAME-b", "avalue-b"],
    ["\\$NAME", "$NAME"],
    ["'$NAME'", "$NAME"],
    ['"$NAME x"', "value x"],
    ['"\\$NAME"', "$NAME"],
    ['"a\\nb"', "a\\nb"],
    ["${UNSET}", ""],
    ["${UNSET:-other}", "other"],
    ["${EMPTY:-other}", "other"],
    ["${EMPTY-other}", ""],
    ["${UNSET-other}", "other"],
    ["${NAME:+set}", "set"],
    ["${EMPTY:+set}", ""],
    ["${EMPTY+set}", "set"],
    ["${UNSET:-$NAME/x}", "value/x"],
    ["${UNSET:-${NAME:-y}}", "value"],
    ["$PATH:/opt", "/bin:/opt"],
    ["100%$", "100%$"],
    ["a\\ b", "a b"],
    ["${TAG#v}", "1.2.3-rc.1"],
    ["${TAG#x}", "v1.2.3-rc.1"],
    ["${TAG#*.}", "2.3-rc.1"],
    ["${TAG##*.}", "1"],
    ["${TAG%.*}", "v1.2.3-rc"],
    ["${TAG%%.*}", "v1"],
    ["${TAG%%-*}", "v1.2.3"],
    ["${TAG%?}", "v1.2.3-rc."],
    ["${TAG/./_}", "v1_2.3-rc.1"],
    ["${TAG//./_}", "v1_2_3-rc_1"],
    ["${TAG//[0-9]/$NAME}", "v1.2.3-rc.1"],
    ["${TAG/v*-/$NAME }", "value rc.1"],
    ["${TAG//./$$}", "v1$$2$$3-rc$$1"],
    ["${ODD#a\\*}", "b*c"],
    ["${ODD//\\*/}", "abc"],
    ["${TAG///x}", "v1.2.3-rc.1"],
    ["${UNSET#x}${EMPTY%x}", ""],
    ["${TAG#${UNSET:-v}}", "1.2.3-rc.1"],
  ];
  for (const [text, expected] of table) assert.equal(expandWord(text, variables, "\\"), expected, text);
  assert.equal(expandWord("`$NAME C:\\dir", variables, "`"), "$NAME C:\\dir");
});

test("a word that cannot be understood is an error, not an empty string", () => {
  for (const text of [
    "${NAME",
    "'open",
    '"open',
    "${NAME^}",
    "${NAME/x}",
    "${}",
    "${UNSET:?must be given}",
  ]) {
    assert.throws(() => expandWord(text, variables, "\\"), WordError, text);
  }
});

test("words are split at blanks outside quotes", () => {
  assert.deepEqual(splitWords(`a  "b c" d\\ e 'f "g'`, "\\"), ["a", '"b c"', "d\\ e", `'f "g'`]);
});

test("pairs come in the new form and in the old one", () => {
  assert.deepEqual(splitPairs('A=1 B="x y"', "\\"), [
    ["A", "1"],
    ["B", '"x y"'],
  ]);
  assert.deepEqual(splitPairs("NAME the rest = it", "\\"), [["NAME", "the rest = it"]]);
  assert.equal(splitPairs("A=1 B", "\\"), undefined);
  assert.equal(splitPairs("ALONE", "\\"), undefined);
});

test("only an array of strings is the exec form", () => {
  assert.deepEqual(parseJsonForm('["a", "b c"]'), ["a", "b c"]);
  for (const text of ["node x", "['a']", "[1]", '{"a":1}', '["a"'])
    assert.equal(parseJsonForm(text), undefined, text);
});
