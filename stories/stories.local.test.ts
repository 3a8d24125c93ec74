/** The six stories of a release on the embedded world. The same ones run on a real Kubernetes in stories.real.test.ts. */
import { after, before, test } from "node:test";
import { embeddedPlace } from "./embedded-place.ts";
import type { Place } from "./place.ts";
import { STORIES } from "./stories.ts";

let place: Place;
before(async () => {
  place = await embeddedPlace();
});
after(() => place?.remove());

for (const [name, story] of STORIES)
  test(name, async (t) => {
    const told = await story(place);
    t.diagnostic(`on ${place.title}${typeof told === "string" ? `: ${told}` : ""}`);
  });
