import assert from "node:assert/strict";
import { test } from "node:test";
import type { PodTemplateSpec } from "@slipway/kube";
import { fnv32a, isSameTemplate, POD_TEMPLATE_HASH, templateHash } from "./hash.ts";

const template: PodTemplateSpec = {
  metadata: { labels: { app: "web" } },
  spec: { containers: [{ name: "web", image: "web:1" }] },
};

test("FNV-32a gives the published values", () => {
  assert.equal(fnv32a(""), 0x811c9dc5);
  assert.equal(fnv32a("a"), 0xe40c292c);
  assert.equal(fnv32a("foobar"), 0xbf9cf968);
});

test("the hash is made of letters and digits that spell nothing", () => {
  assert.match(templateHash(template, undefined), /^[bcdfghjklmnpqrstvwxz2456789]{1,10}$/);
});

test("a collision count changes the hash", () => {
  assert.notEqual(templateHash(template, 1), templateHash(template, undefined));
});

test("templates are the same without the hash label, whatever the order of their fields", () => {
  const labelled = {
    spec: { containers: [{ image: "web:1", name: "web" }] },
    metadata: { labels: { [POD_TEMPLATE_HASH]: "abc", app: "web" } },
  };
  assert.ok(isSameTemplate(template, labelled));
  assert.equal(templateHash(labelled, undefined), templateHash(template, undefined));
});

test("null, absent and empty lists and maps are the same; an empty struct is something", () => {
  const spec = { containers: [{ name: "web", image: "web:1" }] };
  const padded = {
    metadata: { labels: { app: "web" }, annotations: {}, creationTimestamp: null },
    spec: { ...spec, volumes: [] },
  };
  assert.ok(isSameTemplate(template, padded));
  const scratch = { ...template, spec: { ...spec, volumes: [{ name: "scratch", emptyDir: {} }] } };
  const nameless = { ...template, spec: { ...spec, volumes: [{ name: "scratch" }] } };
  assert.ok(!isSameTemplate(scratch, nameless));
});

test("another image is another template", () => {
  assert.ok(
    !isSameTemplate(template, { ...template, spec: { containers: [{ name: "web", image: "web:2" }] } }),
  );
});
