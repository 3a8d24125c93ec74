/** The stories that decide whether a release can be trusted; each is told on every place there is. */
import { badImage } from "./bad-image.ts";
import { commit } from "./commit.ts";
import { everythingDown } from "./everything-down.ts";
import { killedInTheMiddle } from "./killed.ts";
import { lostCluster } from "./lost-cluster.ts";
import type { Place } from "./place.ts";
import { twoPeople } from "./two-people.ts";

/** A story may return a sentence for the report. */
type Story = (place: Place) => Promise<unknown>;

export const STORIES: readonly (readonly [string, Story])[] = [
  ["commit", commit],
  ["bad image", badImage],
  ["lost cluster", lostCluster],
  ["two people deploy", twoPeople],
  ["killed in the middle", killedInTheMiddle],
  ["rollback with everything else down", everythingDown],
];
