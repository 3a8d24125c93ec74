/**
 * The release engine's door: plan, deploy, rollback, history, status. All of it speaks the KubeClient port.
 */
import { SlipwayError } from "@slipway/base";
import type { OnReleaseEvent } from "./events.ts";
import type { ReleaseContext, ReleaseResult, RenderedRelease } from "./model.ts";

export interface DeployOptions {
  readonly onEvent?: OnReleaseEvent | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Wait this long for a lock that somebody holds; 0 refuses at once. */
  readonly lockWaitMs?: number | undefined;
  /** Shown to whoever meets the lock. */
  readonly message?: string | undefined;
  /** Deploy although a digest is held after a rollback. */
  readonly allowHeld?: boolean | undefined;
  /** Go on without clusters that cannot be reached: their verdict is `unknown`. Refused otherwise. */
  readonly skipUnreachable?: boolean | undefined;
}

export interface RollbackOptions {
  /** A release number; without it the newest release that was healthy everywhere and differs from what is live. */
  readonly to?: number | undefined;
  readonly onEvent?: OnReleaseEvent | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly lockWaitMs?: number | undefined;
  /** Take the lock from whoever holds it. */
  readonly stealLock?: boolean | undefined;
}

export async function deploy(
  _context: ReleaseContext,
  _rendered: RenderedRelease,
  _options: DeployOptions = {},
): Promise<ReleaseResult> {
  throw new SlipwayError({ code: "NOT_BUILT", where: "release/deploy", message: "deploy is not built yet" });
}

export async function rollback(
  _context: ReleaseContext,
  _options: RollbackOptions = {},
): Promise<ReleaseResult> {
  throw new SlipwayError({
    code: "NOT_BUILT",
    where: "release/rollback",
    message: "rollback is not built yet",
  });
}
