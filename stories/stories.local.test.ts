/** The six stories of a release on the embedded world. The same ones run on a real Kubernetes in stories.real.test.ts. */
import { after, before, describe, test } from "node:test";
import { embeddedPlace } from "./embedded-place.ts";
import type { Place } from "./place.ts";
import { STORIES } from "./stories.ts";

/** A story mostly waits, for a bake or a pod: half of them are told in one place while the others are told in another. */
const PLACES = 2;

describe("the stories", { concurrency: PLACES }, () => {
  for (let one = 0; one < PLACES; one += 1) {
    describe(`place ${one + 1}`, { concurrency: 1 }, () => {
      let place: Place;
      before(async () => {
        place = await embeddedPlace();
      });
      after(() => place?.remove());

      for (const [name, story] of STORIES.filter((_, index) => index % PLACES === one))
        test(name, async (t) => {
          const told = await story(place);
          t.diagnostic(`on ${place.title}${typeof told === "string" ? `: ${told}` : ""}`);
        });
    });
  }
});
