import type { DetailMessage, Message, Subject } from "./message.ts";

/**
 * The port to wherever people read about releases and incidents. All of it returns at once and nothing rejects: a release never
 * waits for, or fails because of, a notification. Problems are told once each through `onWarning` of the adapter.
 */
export interface Notifier {
  readonly name: string;
  /**
   * From now on the message of this release or incident shall look like this. A newer one replaces an older one. `at`: when it came
   * to be so, ms since the epoch, where that is not now.
   */
  show(about: Subject, message: Message, at?: number): void;
  /** Details below that message, or beside it where there are no threads. One `key` is told once, however often it is added. */
  add(about: Subject, key: string, detail: DetailMessage): void;
  /** Resolves when everything was delivered, or after `atMostMs`. What is left then stays in the outbox, if there is one. */
  settle(atMostMs: number): Promise<void>;
}
