import assert from "node:assert/strict";
import { test } from "node:test";
import { checkNames } from "./names.ts";

test("a service that is not there is refused at its line, with the one that may be meant", () => {
  const refusalOf = (service: string) => {
    try {
      const inactive = new Map([["debug", ["tools", "dev"]]]);
      checkNames([{ service, place: "spec/a.ts:3:5" }], ["db", "web"], inactive);
      return undefined;
    } catch (error) {
      const { where, message, hint } = error as { where: string; message: string; hint: string };
      return [where, message, hint];
    }
  };
  assert.equal(refusalOf("db"), undefined);
  assert.deepEqual(refusalOf("webb"), [
    "spec/a.ts:3:5",
    'there is no service "webb"; there are db, web',
    'Did you mean "web"?',
  ]);
  assert.equal(refusalOf("observability")?.[2], "Name a service of the Compose file.");
  assert.deepEqual(refusalOf("debug"), [
    "spec/a.ts:3:5",
    'service "debug" is of a profile that is not chosen',
    'Give describeCompose one of its profiles (profiles: ["tools", "dev"]), or leave it out.',
  ]);
});
