/** HEALTHCHECK and EXPOSE, the two instructions of configuration with a grammar of their own. */
import type { Healthcheck } from "../oci.ts";
import { parseJsonForm } from "./words.ts";

/** Makes the error for a fact; knows file and line. */
type Fail = (message: string, hint?: string) => Error;

/** `8080`, `53/udp` or `8000-8010` as the keys of ExposedPorts. */
export function exposedPorts(words: readonly string[], fail: Fail): readonly string[] {
  return words.flatMap((word) => {
    const match = /^(\d+)(?:-(\d+))?(?:\/(tcp|udp|sctp))?$/i.exec(word);
    const first = Number(match?.[1]);
    const last = Number(match?.[2] ?? first);
    if (match === null || first < 1 || last > 65_535 || last < first) {
      throw fail(`"${word}" is not a port, like 8080 or 53/udp`);
    }
    const protocol = (match[3] ?? "tcp").toLowerCase();
    return Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${protocol}`);
  });
}

/** @param flag the value of a flag of the instruction */
export function healthcheckOf(
  text: string,
  flag: (name: string) => string | undefined,
  fail: Fail,
): Healthcheck {
  if (/^none$/i.test(text)) return { Test: ["NONE"] };
  const match = /^cmd\s+(.*)$/is.exec(text);
  if (match === null) throw fail("HEALTHCHECK is followed by CMD or NONE");
  const command = match[1] as string;
  const exec = parseJsonForm(command);
  const duration = (name: string): number | undefined => {
    const value = flag(name);
    if (value === undefined) return undefined;
    const units: Record<string, number> = { ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };
    const parts = [...value.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/gy)];
    if (parts.length === 0 || parts.map(([part]) => part).join("") !== value)
      throw fail(`--${name} must be a duration like 30s, got "${value}"`);
    return parts.reduce(
      (sum, [, amount, unit]) => sum + Number(amount) * (units[unit as string] as number),
      0,
    );
  };
  const retries = flag("retries");
  if (retries !== undefined && !/^\d+$/.test(retries))
    throw fail(`--retries must be a whole number, got "${retries}"`);
  const facts = {
    Interval: duration("interval"),
    Timeout: duration("timeout"),
    StartPeriod: duration("start-period"),
    StartInterval: duration("start-interval"),
    Retries: retries === undefined ? undefined : Number(retries),
  };
  const given = Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined));
  return { Test: exec === undefined ? ["CMD-SHELL", command] : ["CMD", ...exec], ...given };
}
