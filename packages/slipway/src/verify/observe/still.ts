/** An image's checks that need nothing to run, decided from its configuration and its layers. */
import type { Clock } from "@slipway/base";
import type { Check } from "../check.ts";
import { judgeImage } from "../judge/image.ts";
import { judgeStill } from "../judge/judge.ts";
import { sourceOf } from "../plan.ts";
import type { ImageView } from "./image-view.ts";
import { judgeSafely, type Outcomes } from "./outcome.ts";

export async function decideStill(
  checks: readonly Check[],
  view: ImageView,
  clock: Clock,
  outcomes: Outcomes,
): Promise<void> {
  for (const check of checks) {
    const startedAt = clock.monotonic();
    const judgement = await judgeSafely(() => judge(check, view, clock.now()));
    const durationMs = clock.monotonic() - startedAt;
    outcomes.set(check, {
      judgement,
      from: sourceOf(check),
      attempts: 1,
      durationMs,
      digest: view.image.digest,
      where: "the image's layers",
    });
  }
}

function judge(check: Check, view: ImageView, now: number) {
  switch (check.kind) {
    case "image":
      return judgeImage(check, view);
    case "file":
    case "files":
    case "user":
    case "group":
    case "package":
    case "certificate":
      return judgeStill(check, view.files, now);
    default:
      throw new TypeError(`${check.kind} needs a container`);
  }
}
