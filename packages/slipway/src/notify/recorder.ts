/** Remembers what would have been told, for tests and the demo. */
import { type DetailMessage, type ReleaseMessage, releaseId } from "./message.ts";
import type { Notifier } from "./notifier.ts";

export type Recorded =
  | { readonly kind: "show"; readonly id: string; readonly message: ReleaseMessage }
  | { readonly kind: "add"; readonly id: string; readonly key: string; readonly detail: DetailMessage };

export function createRecorder(): Notifier & { readonly recorded: readonly Recorded[] } {
  const recorded: Recorded[] = [];
  return {
    name: "recorder",
    recorded,
    show: (release, message) => void recorded.push({ kind: "show", id: releaseId(release), message }),
    add: (release, key, detail) => void recorded.push({ kind: "add", id: releaseId(release), key, detail }),
    settle: () => Promise.resolve(),
  };
}
