/** The six stories of a release on a real Kubernetes. Each result says which pods were real and which hollow. */
import { after, before, test } from "node:test";
import type { Place } from "./place.ts";
import { realPlace } from "./real-place.ts";
import { STORIES } from "./stories.ts";

const program = process.env["SLIPWAY_REAL_KUBERNETES"];
const skip =
  program === undefined
    ? "SLIPWAY_REAL_KUBERNETES is not set: there is no real Kubernetes to release to"
    : false;
let place: Place;
before(async () => {
  if (program !== undefined) place = await realPlace(program);
});
after(() => place?.remove());

for (const [name, story] of STORIES)
  test(name, { skip }, async (t) => {
    const told = await story(place);
    t.diagnostic(`on ${place.title}${typeof told === "string" ? `: ${told}` : ""}`);
  });
