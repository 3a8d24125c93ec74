import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { SlipwayError } from "@slipway/base";
import { noSuchStage, readDockerfile, refuseHostBase } from "./build-faults.ts";
import { parseDockerfile, type Stage } from "./dockerfile/parse.ts";

test("a name that is no stage is told with the stages there are; a reference of a registry is left as it is", () => {
  const dockerfile = parseDockerfile("FROM scratch AS base\nFROM scratch\nFROM scratch\n", "Dockerfile");
  const failed = new SlipwayError({ code: "REGISTRY_DOWN", where: "Dockerfile:3", message: "no answer" });
  const told = (name: string, stage: number): readonly (string | undefined)[] => {
    const error = noSuchStage(failed, name, dockerfile, dockerfile.stages[stage] as Stage) as SlipwayError;
    return [error.where, error.message, error.hint];
  };
  const [first, last] = ["there is no stage before this one", "stages: base, 1"];
  assert.deepEqual(told("bse", 2), [
    "Dockerfile:3",
    `there is no stage "bse" (${last}), and as an image: no answer`,
    'Did you mean "base"?',
  ]);
  assert.equal(told("nginx", 0)[1], `there is no stage "nginx" (${first}), and as an image: no answer`);
  assert.equal(told("registry.example.com/team/web:1", 2)[1], "no answer");
});

test("a Dockerfile below a file, and one that is a folder, are told as one that is missing", async () => {
  for (const path of [join(import.meta.filename, "Dockerfile"), import.meta.dirname, "/nowhere/Dockerfile"]) {
    await assert.rejects(readDockerfile(path, "web"), { code: "DOCKERFILE_MISSING", where: "images/web" });
  }
});

test("a base of this machine is not looked for in a registry", () => {
  assert.throws(() => refuseHostBase("slipway/node", "web"), {
    code: "IMAGE_HOST_BASE",
    where: "images/web",
    hint: /FROM slipway\/node/,
  });
  refuseHostBase("registry.example.com/slipway/node:1", "web");
});
