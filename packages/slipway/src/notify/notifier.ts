import type { DetailMessage, ReleaseMessage } from "./message.ts";

/** Names a message that was posted; its content belongs to the notifier. */
export interface MessageHandle {
  readonly channel: string;
  readonly id: string;
}

/**
 * The port to wherever people read about releases. A notifier may reject; whoever calls it turns that into a
 * warning: a release never waits for, or fails because of, a notification.
 */
export interface Notifier {
  readonly name: string;
  post(message: ReleaseMessage): Promise<MessageHandle>;
  update(handle: MessageHandle, message: ReleaseMessage): Promise<void>;
  /** Adds details in the message's thread, or beside it where there are no threads. */
  reply(handle: MessageHandle, message: DetailMessage): Promise<void>;
}
