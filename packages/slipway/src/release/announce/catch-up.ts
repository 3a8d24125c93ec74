/**
 * Brings what people see up to what the clusters remember. The outbox of a machine that is gone is gone with it, but the
 * record is in the clusters: from it the message is made again, posted where it is missing and edited where it is
 * outdated (it still says "running", or has buttons that would do nothing any more).
 *
 * What stands in the channel is known from this machine's outbox, or else asked of Slack, by the ids in its messages'
 * metadata. A webhook cannot be asked; there the outbox alone counts.
 */
import { type ReleaseMessage, type ReleaseRef, releaseId, standing } from "../../notify/message.ts";
import type { Telling } from "../../notify/notify.ts";
import type { Thread } from "../../notify/outbox/thread.ts";
import type { ReleaseRecord } from "../model.ts";
import { evidenceDetail, evidenceKey, messageOf } from "./message.ts";

/** Older releases are history, not news. */
const LOOK_BACK_MS = 7 * 24 * 60 * 60_000;
/** A message that is missing longer than this is not posted any more. */
const POST_WITHIN_MS = 24 * 60 * 60_000;
const MOST = 10;

interface Wanted {
  readonly record: ReleaseRecord;
  readonly ref: ReleaseRef;
  readonly message: ReleaseMessage;
}

/** `newest`: a release that runs now, newer than all records. Returns what it could not find out; never rejects. */
export async function catchUp(
  telling: Telling,
  records: readonly ReleaseRecord[],
  options: { readonly now: number; readonly newest?: number | undefined },
): Promise<string | undefined> {
  if (telling.kind === "printed") return undefined;
  const { notifier } = telling;
  const wanted = wantedMessages(records, options);
  const unknown: Wanted[] = [];
  for (const one of wanted) {
    const thread = await notifier.known(one.ref).catch(() => undefined);
    if (thread === undefined) unknown.push(one);
    else if (standing(thread.message.content) !== standing(one.message)) tell(telling, one);
  }
  if (telling.kind !== "bot" || unknown.length === 0) return undefined;
  const since = Math.min(...unknown.map(({ record }) => record.startedAt));
  try {
    const posted = await telling.bot.posted(since - LOOK_BACK_MS);
    for (const one of unknown) {
      const id = releaseId(one.ref);
      const found = posted.find((message) => message.id === id);
      if (found === undefined) {
        if (isMissed(one, posted, options.now)) tell(telling, one);
      } else if (found.standing !== standing(one.message)) {
        await notifier.adopt(adopted(one, found, telling.bot.to));
        notifier.show(one.ref, one.message);
      }
    }
    return undefined;
  } catch (error) {
    const word = (error as { readonly data?: { readonly error?: string } }).data?.error;
    return `cannot see which messages are in the channel: ${word ?? (error as Error).message}`;
  }
}

function wantedMessages(
  records: readonly ReleaseRecord[],
  { now, newest }: { readonly now: number; readonly newest?: number | undefined },
): readonly Wanted[] {
  return (
    records
      // One that is going on is told by whoever runs it.
      .filter((record) => record.outcome !== "in-progress" && record.startedAt > now - LOOK_BACK_MS)
      .slice(0, MOST)
      .map((record) => ({
        record,
        ref: { service: record.service, environment: record.environment, number: record.number },
        message: messageOf(record, records, { newest }),
      }))
  );
}

/** Only where messages have been posted before: who sets Slack up is not told what happened yesterday. */
function isMissed(one: Wanted, posted: readonly { readonly id: string }[], now: number): boolean {
  const { service, environment, number } = one.ref;
  const endedAt = one.record.finishedAt ?? one.record.startedAt;
  const prefix = `${service}/${environment}/`;
  const isInUse = posted.some(({ id }) => id.startsWith(prefix) && Number(id.slice(prefix.length)) < number);
  return isInUse && now - endedAt < POST_WITHIN_MS;
}

function tell({ notifier }: Telling, { ref, message, record }: Wanted): void {
  notifier.show(ref, message, record.finishedAt ?? record.startedAt);
  for (const evidence of record.evidence) {
    notifier.add(ref, evidenceKey(evidence), evidenceDetail(evidence, record.version));
  }
}

function adopted(
  { ref, message, record }: Wanted,
  found: { readonly channel: string; readonly ts: string; readonly version: number },
  to: string,
): Thread {
  const { channel, ts, version } = found;
  return {
    id: releaseId(ref),
    to,
    createdAt: record.startedAt,
    message: {
      key: "message",
      content: message,
      version: version + 1,
      saidAt: record.finishedAt ?? record.startedAt,
      shown: { channel, ts, version, at: 0 },
      failures: 0,
      notBefore: 0,
    },
    details: [],
  };
}
