import type { Abilities, Outcome } from "./decide.ts";
import type { AnyPart, Thread } from "./thread.ts";

/** The port of the outbox to a place where messages are posted. One request per call, bounded in time; nothing rejects. */
export interface Transport {
  readonly name: string;
  /** Kind and channel: `slack bot #deploys`. Threads made for another are left alone. */
  readonly to: string;
  readonly can: Abilities;
  /** `note` is shown with it: why it is late, or that it may be there twice. */
  post(thread: Thread, part: AnyPart, note: string | undefined): Promise<Outcome>;
  edit(thread: Thread, part: AnyPart): Promise<Outcome>;
  /** Looks for a post of this part by our id. */
  find(thread: Thread, part: AnyPart): Promise<Outcome>;
}
