/** Tokens and TLS key of a collector, made here once: what is there is kept, so that agents and people keep their way in. */
import { newSecret } from "@slipway/base";
import { ensureCertificates } from "@slipway/cluster";
import { findObject, type KubeClient, type Secret } from "@slipway/kube";
import { namesOf, SECRET_KEYS, type SecretKey } from "./manifests.ts";

const TLS_KEYS = ["ca.crt", "tls.crt", "tls.key"] as const;

export type CollectorSecrets = Readonly<Record<SecretKey, string>>;

/** Those that are there. */
export async function findSecrets(
  client: KubeClient,
  namespace: string,
  service: string,
): Promise<Partial<CollectorSecrets>> {
  const name = namesOf(service).collector;
  const secret = await findObject<Secret>(client, { apiVersion: "v1", kind: "Secret", namespace, name });
  const entries = SECRET_KEYS.flatMap((key) => {
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
    "ca.crt": ca,
    "tls.crt": certificate,
    "tls.key": key,
  };
}
