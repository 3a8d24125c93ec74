/**
 * Tokens and TLS key of a collector, made here once, and what it was given for Slack: what is there is kept, so that
 * agents and people keep their way in, and an upgrade from a machine without Slack's tokens goes on telling.
 */
import { newSecret } from "@slipway/base";
import { ensureCertificates } from "@slipway/cluster";
import { type ConfigMap, findObject, type KubeClient, type Secret } from "@slipway/kube";
import { type SlackPlace, slackPlaceSchema } from "../collector/input.ts";
import {
  namesOf,
  SECRET_KEYS,
  type SecretKey,
  type Secrets,
  SLACK_KEYS,
  type SlackKey,
} from "./manifests.ts";

const TLS_KEYS = ["ca.crt", "tls.crt", "tls.key"] as const;

export type CollectorSecrets = Readonly<Record<SecretKey, string>>;

/** Those that are there. */
export async function findSecrets(
  client: KubeClient,
  namespace: string,
  service: string,
): Promise<Partial<Secrets>> {
  const name = namesOf(service).collector;
  const secret = await findObject<Secret>(client, { apiVersion: "v1", kind: "Secret", namespace, name });
  const entries = [...SECRET_KEYS, ...SLACK_KEYS].flatMap((key) => {
    const value = secret?.data?.[key];
    return value === undefined || value === ""
      ? []
      : [[key, Buffer.from(value, "base64").toString("utf8")] as const];
  });
  return Object.fromEntries(entries);
}

/** Key, certificate and authority belong together: with one of them missing, all three are new. */
export function completeSecrets(kept: Partial<CollectorSecrets>, made: CollectorSecrets): CollectorSecrets {
  const isWhole = TLS_KEYS.every((key) => kept[key] !== undefined);
  const tls = isWhole ? {} : Object.fromEntries(TLS_KEYS.map((key) => [key, made[key]]));
  return { ...made, ...kept, ...tls };
}

export async function newSecrets(now: number): Promise<CollectorSecrets> {
  // The authority's key is thrown away: it has signed this certificate and will sign no other.
  const { ca, certificate, key } = await ensureCertificates({ name: "slipway-collector", now });
  return {
    "agent-token": newSecret(),
    "read-token": newSecret(),
    "metrics-token": newSecret(),
    "alertmanager-token": newSecret(),
    "ca.crt": ca,
    "tls.crt": certificate,
    "tls.key": key,
  };
}

/** What whoever installs has for Slack. */
export interface SlackGiven {
  readonly place: SlackPlace;
  readonly secrets: Readonly<Partial<Record<SlackKey, string>>>;
}

/** What is given takes the place of all that was; undefined: what a collector was given before. */
export async function secretsFor(
  client: KubeClient,
  { namespace, service }: { readonly namespace: string; readonly service: string },
  given: SlackGiven | undefined,
  now: number,
): Promise<{ readonly secrets: Secrets; readonly slack: SlackPlace | null; readonly isKept: boolean }> {
  const {
    "slack-bot-token": bot,
    "slack-webhook-url": webhook,
    ...kept
  } = await findSecrets(client, namespace, service);
  const made = completeSecrets(kept, await newSecrets(now));
  if (given !== undefined)
    return { secrets: { ...made, ...given.secrets }, slack: given.place, isKept: false };
  if (bot === undefined && webhook === undefined) return { secrets: made, slack: null, isKept: false };
  const secrets = {
    ...made,
    ...(bot === undefined ? {} : { "slack-bot-token": bot }),
    ...(webhook === undefined ? {} : { "slack-webhook-url": webhook }),
  };
  return { secrets, slack: await readPlace(client, namespace, service), isKept: true };
}

/** As the last install wrote it. */
async function readPlace(client: KubeClient, namespace: string, service: string): Promise<SlackPlace> {
  const name = namesOf(service).collector;
  const map = await findObject<ConfigMap>(client, { apiVersion: "v1", kind: "ConfigMap", namespace, name });
  const written: unknown = JSON.parse(map?.data?.["collector.json"] ?? "{}");
  const parsed = slackPlaceSchema.safeParse((written as { slack?: unknown }).slack);
  return parsed.success ? parsed.data : { channel: null, mentions: {}, apiUrl: null };
}
