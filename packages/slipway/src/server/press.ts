/** A pressed button, as Slack tells it (`block_actions`), parsed once. */
import { createHash } from "node:crypto";
import * as z from "zod";
import type { ReleaseRef } from "../notify/message.ts";
import { ACTION_IDS } from "../notify/slack/blocks.ts";

export interface Press {
  /** One press has one key, however often it is delivered. */
  readonly key: string;
  readonly kind: "roll-back" | "hold";
  readonly on: ReleaseRef;
  /** For a rollback: the release that the button promised. */
  readonly to: number | undefined;
  /** Id of the incident whose message has the button; undefined on a release's own message. */
  readonly incident?: string | undefined;
  readonly user: { readonly id: string; readonly name: string };
  readonly channel: string;
  /** Of the message with the button. */
  readonly ts: string;
}

const id = z.string().min(1).max(255);
const number = z.number().int().positive();

const payloadSchema = z.object({
  type: z.literal("block_actions"),
  trigger_id: id,
  user: z.object({ id, username: z.string().optional(), name: z.string().optional() }),
  channel: z.object({ id }),
  message: z.object({ ts: id }),
  actions: z.array(z.object({ action_id: id, action_ts: id, value: z.string().max(2000) })).length(1),
});

const valueSchema = z.strictObject({
  service: z.string(),
  environment: z.string(),
  release: number,
  to: number.optional(),
  incident: z.string().min(1).max(64).optional(),
});

/** The press, or why it is none of ours. */
export function parsePress(payload: unknown): Press | { readonly ignored: string } {
  const parsed = payloadSchema.safeParse(payload);
  if (!parsed.success) return { ignored: "it is not a pressed button" };
  const { trigger_id, user, channel, message, actions } = parsed.data;
  const action = actions[0] as (typeof actions)[number];
  const kind = (["roll-back", "hold"] as const).find((one) => ACTION_IDS[one] === action.action_id);
  if (kind === undefined) return { ignored: `no button of ours: ${action.action_id}` };
  const value = valueSchema.safeParse(jsonOf(action.value));
  if (!value.success || (kind === "roll-back") !== (value.data.to !== undefined)) {
    return { ignored: "its value is not one that slipway writes" };
  }
  const { service, environment, release, to, incident } = value.data;
  return {
    key: createHash("sha256").update(`${trigger_id}\n${action.action_id}\n${action.action_ts}`).digest("hex"),
    kind,
    on: { service, environment, number: release },
    to,
    ...(incident === undefined ? {} : { incident }),
    user: { id: user.id, name: user.username ?? user.name ?? user.id },
    channel: channel.id,
    ts: message.ts,
  };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
