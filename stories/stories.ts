/** The stories that decide whether a release can be trusted; each is told on every place there is. */
import { badImage } from "./bad-image.ts";
import { commit } from "./commit.ts";
import type { Place } from "./place.ts";

/** A story may return a sentence for the report. */
type Story = (place: Place) => Promise<unknown>;

export const STORIES: readonly (readonly [string, Story])[] = [
  ["commit", commit],
  ["bad image", badImage],
];
