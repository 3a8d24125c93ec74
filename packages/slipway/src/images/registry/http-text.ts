/** Reading what registries say: headers and errors. Pure. */
import { systemCode } from "@slipway/base";

/** Seconds or an HTTP date. */
export function parseRetryAfter(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d+$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/** `Bearer realm="…",service="…",scope="…"` */
export function parseChallenge(header: string): { scheme: string; parameters: Record<string, string> } {
  const scheme = /^\s*(\w+)/.exec(header)?.[1]?.toLowerCase() ?? "";
  const parameters: Record<string, string> = {};
  for (const [, name, quoted, plain] of header.matchAll(/(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))/g)) {
    parameters[(name as string).toLowerCase()] = (quoted ?? plain ?? "").replace(/\\(.)/g, "$1");
  }
  return { scheme, parameters };
}

/** The first error of a registry's answer, in its words. */
export function describe(body: string): string | undefined {
  try {
    const { errors } = JSON.parse(body) as { errors?: { code?: string; message?: string }[] };
    const first = errors?.[0];
    if (first === undefined) return undefined;
    return [first.code, first.message].filter((part) => part !== undefined && part !== "").join(": ");
  } catch {
    return undefined;
  }
}

/** Why a connection failed, with the system's code. */
export function reasonOf(cause: unknown): string {
  const code = systemCode(cause);
  if (cause instanceof AggregateError && cause.errors.length > 0) return reasonOf(cause.errors[0]);
  const message = cause instanceof Error ? cause.message : String(cause);
  return code === undefined || message.includes(code) ? message : `${code} ${message}`;
}
