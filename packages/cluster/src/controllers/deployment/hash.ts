/**
 * The pod-template-hash: FNV-32a over the template, made safe for names with Kubernetes' own alphabet. Upstream hashes
 * a dump of Go's memory layout, which differs between its own versions, so the numbers cannot and need not agree;
 * what must agree is that a ReplicaSet is *found* by its template and never by this name.
 */
import type { PodTemplateSpec } from "@slipway/kube";

export const POD_TEMPLATE_HASH = "pod-template-hash";

const ALPHABET = "bcdfghjklmnpqrstvwxz2456789";

/** `collisions` is `status.collisionCount`: it changes the name after two templates met in one hash. */
export function templateHash(template: PodTemplateSpec, collisions: number | undefined): string {
  const text = canonicalTemplate(template);
  const hash = fnv32a(collisions === undefined ? text : `${text}\n${collisions}`);
  return [...String(hash)].map((digit) => ALPHABET[digit.charCodeAt(0) % ALPHABET.length]).join("");
}

/** The rule of two templates being the same: all fields equal, apart from the hash label itself. */
export function isSameTemplate(a: PodTemplateSpec, b: PodTemplateSpec): boolean {
  return a === b || canonicalTemplate(a) === canonicalTemplate(b);
}

/** Templates are compared in every decision and never change in place, so each is written out once. */
const canonicalTexts = new WeakMap<PodTemplateSpec, string>();

function canonicalTemplate(template: PodTemplateSpec): string {
  const known = canonicalTexts.get(template);
  if (known !== undefined) return known;
  const { [POD_TEMPLATE_HASH]: _hash, ...labels } = template.metadata?.labels ?? {};
  const { creationTimestamp: _created, ...metadata } = template.metadata ?? {};
  const text = canonicalJson({ ...template, metadata: { ...metadata, labels } });
  canonicalTexts.set(template, text);
  return text;
}

const MAPS = new Set(["labels", "annotations", "nodeSelector", "limits", "requests", "matchLabels"]);

/**
 * JSON with sorted keys, without what Go's semantic equality does not see: null, empty lists and empty maps. An empty
 * struct stays (`emptyDir: {}` says something that its absence does not).
 */
function canonicalJson(value: unknown, key = ""): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item)).join(",")}]`;
  const fields = Object.entries(value)
    .filter(([name, field]) => !isUnset(field, name))
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([name, field]) => `${JSON.stringify(name)}:${canonicalJson(field, MAPS.has(key) ? "" : name)}`);
  return `{${fields.join(",")}}`;
}

function isUnset(value: unknown, name: string): boolean {
  if (value === undefined || value === null) return true;
  if (Array.isArray(value)) return value.length === 0;
  return MAPS.has(name) && typeof value === "object" && Object.keys(value).length === 0;
}

/** 32-bit FNV-1a over the UTF-8 bytes. `fnv32a("a")` is 0xe40c292c. */
export function fnv32a(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
