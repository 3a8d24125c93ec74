/** The six stories of a release on the embedded world. The same ones run on a real Kubernetes in stories.real.test.ts. */
import { after, before, test } from "node:test";
import { commit } from "./commit.ts";
import { embeddedPlace } from "./embedded-place.ts";
import type { Place } from "./place.ts";

let place: Place;
before(async () => {
  place = await embeddedPlace();
});
after(() => place?.remove());

test("commit", () => commit(place));
