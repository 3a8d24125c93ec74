/** Tokens and TLS key of a collector, made here once: what is there is kept, so that agents and people keep their way in. */
import { ensureCertificates } from "@slipway/cluster";
import { findObject, type KubeClient, type Secret } from "@slipway/kube";
import { newToken } from "../pages/token.ts";
import { namesOf, SECRET_KEYS, type SecretKey } from "./manifests.ts";

export type CollectorSecrets = Readonly<Record<SecretKey, string>>;

/** Undefined when there are none, or not all. */
export async function readSecrets(
  client: KubeClient,
  namespace: string,
  service: string,
): Promise<CollectorSecrets | undefined> {
  const name = namesOf(service).collector;
  const secret = await findObject<Secret>(client, { apiVersion: "v1", kind: "Secret", namespace, name });
  const entries = SECRET_KEYS.map((key) => [key, secret?.data?.[key]] as const);
  if (entries.some(([, value]) => value === undefined || value === "")) return undefined;
  return Object.fromEntries(
    entries.map(([key, value]) => [key, Buffer.from(value as string, "base64").toString("utf8")]),
  ) as CollectorSecrets;
}

export async function newSecrets(now: number): Promise<CollectorSecrets> {
  // The authority's key is thrown away: it has signed this certificate and will sign no other.
  const { ca, certificate, key } = await ensureCertificates({ name: "slipway-collector", now });
  return {
    "agent-token": newToken(),
    "read-token": newToken(),
    "ca.crt": ca,
    "tls.crt": certificate,
    "tls.key": key,
  };
}
