/** Remembers what would have been told, for tests and the demo. */
import { type DetailMessage, type Message, subjectId } from "./message.ts";
import type { Notifier } from "./notifier.ts";

export type Recorded =
  | { readonly kind: "show"; readonly id: string; readonly message: Message }
  | { readonly kind: "add"; readonly id: string; readonly key: string; readonly detail: DetailMessage };

export function createRecorder(): Notifier & { readonly recorded: readonly Recorded[] } {
  const recorded: Recorded[] = [];
  return {
    name: "recorder",
    recorded,
    show: (about, message) => void recorded.push({ kind: "show", id: subjectId(about), message }),
    add: (about, key, detail) => void recorded.push({ kind: "add", id: subjectId(about), key, detail }),
    settle: () => Promise.resolve(),
  };
}
