import type { DetailMessage, ReleaseMessage, ReleaseRef } from "./message.ts";

/**
 * The port to wherever people read about releases. All of it returns at once and nothing rejects: a release never
 * waits for, or fails because of, a notification. Problems are told once each through `onWarning` of the adapter.
 */
export interface Notifier {
  readonly name: string;
  /**
   * From now on the message of this release shall look like this. A newer one replaces an older one. `at`: when it came
   * to be so, ms since the epoch, where that is not now.
   */
  show(release: ReleaseRef, message: ReleaseMessage, at?: number): void;
  /** Details below that message, or beside it where there are no threads. One `key` is told once, however often it is added. */
  add(release: ReleaseRef, key: string, detail: DetailMessage): void;
  /** Resolves when everything was delivered, or after `atMostMs`. What is left then stays in the outbox, if there is one. */
  settle(atMostMs: number): Promise<void>;
}
