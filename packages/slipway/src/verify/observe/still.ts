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
  await view.fetch(checks.flatMap(contentsOf));
  for (const check of checks) {
    const startedAt = clock.monotonic();
    const judgement = await judgeSafely(() => judge(check, view, clock.now()));
    const durationMs = clock.monotonic() - startedAt;
    const from = sourceOf(check);
    outcomes.set(check, {
      judgement,
      from,
      attempts: 1,
      durationMs,
      digest: view.image.digest,
      where: from === "config" ? "the image's configuration" : "the image's layers",
    });
  }
}

const ACCOUNTS = ["/etc/passwd", "/etc/group"];

/** Files whose contents a check will read, as far as its data says. */
function contentsOf(check: Check): readonly string[] {
  switch (check.kind) {
    case "user":
    case "group":
      return [...ACCOUNTS, "/etc/shadow"];
    case "package":
      return ["/var/lib/dpkg/status", "/lib/apk/db/installed", "/usr/lib/apk/db/installed", "/etc/apk/world"];
    case "certificate": {
      const { expectation, resource } = check;
      return expectation.matcher === "matchesKey" ? [resource.path, expectation.keyPath] : [resource.path];
    }
    case "file": {
      const { matcher } = check.expectation;
      if (matcher === "ownedBy" || matcher === "allows") return ACCOUNTS;
      const reads: readonly string[] = ["sha256", "contains", "lacks", "json", "yaml"];
      return reads.includes(matcher) ? [check.resource.path] : [];
    }
    case "image":
      return check.expectation.matcher === "nonRoot" ? ACCOUNTS : [];
    default:
      return [];
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
