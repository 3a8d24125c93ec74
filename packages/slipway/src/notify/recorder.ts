/** Remembers what would have been sent, for tests and the demo. */
import type { DetailMessage, ReleaseMessage } from "./message.ts";
import type { Notifier } from "./notifier.ts";

export type Recorded =
  | { readonly kind: "post" | "update"; readonly id: string; readonly message: ReleaseMessage }
  | { readonly kind: "reply"; readonly id: string; readonly detail: DetailMessage };

export function createRecorder(): Notifier & { readonly recorded: readonly Recorded[] } {
  const recorded: Recorded[] = [];
  return {
    name: "recorder",
    recorded,
    post: async (message) => {
      const id = String(recorded.length + 1);
      recorded.push({ kind: "post", id, message });
      return { channel: "recorder", id };
    },
    update: async (handle, message) => {
      recorded.push({ kind: "update", id: handle.id, message });
    },
    reply: async (handle, detail) => {
      recorded.push({ kind: "reply", id: handle.id, detail });
    },
  };
}
