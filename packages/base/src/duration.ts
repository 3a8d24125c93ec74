import { SlipwayError } from "./error.ts";

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * Milliseconds of a duration like `300ms`, `2s`, `1m30s`, `1.5h`; a bare `0` is allowed.
 * The units are those of Go's time.ParseDuration, plus `d`.
 */
export function parseDuration(text: string, where = "duration"): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/gy)];
  const matched = parts.reduce((length, part) => length + part[0].length, 0);
  if (text === "0") return 0;
  if (text === "" || matched !== text.length) {
    throw new SlipwayError({
      code: "DURATION_INVALID",
      where,
      message: `"${text}" is not a duration`,
      hint: "Write a number with a unit, like 300ms, 2s, 1m30s or 1h.",
      exitCode: 2,
    });
  }
  return parts.reduce(
    (sum, [, amount, unit]) => sum + Number(amount) * (UNIT_MS[unit as string] as number),
    0,
  );
}

/** Whole milliseconds as `parseDuration` reads them: `2s`, `1m30s`, `30d`. */
export function writeDuration(ms: number): string {
  let [rest, text] = [ms, ""];
  for (const unit of ["d", "h", "m", "s", "ms"]) {
    const unitMs = UNIT_MS[unit] as number;
    const amount = Math.floor(rest / unitMs);
    if (amount > 0) text += `${amount}${unit}`;
    rest -= amount * unitMs;
  }
  return text === "" ? "0" : text;
}

/** `340 ms`, `2.4 s`, `1 min 05 s`, `2 h 03 min`: for people. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const pad = (value: number): string => String(value).padStart(2, "0");
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${pad(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${pad(Math.floor((seconds % 3600) / 60))} min`;
}

/** Kubernetes' short age: `5s`, `3m20s`, `12m`, `5h3m`, `26h`, `4d`, as `kubectl get` prints it. */
export function formatAge(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return seconds % 60 === 0 ? `${minutes}m` : `${minutes}m${seconds % 60}s`;
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return minutes % 60 === 0 ? `${hours}h` : `${hours}h${minutes % 60}m`;
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(hours / 24);
  if (days < 8) return hours % 24 === 0 ? `${days}d` : `${days}d${hours % 24}h`;
  if (days < 730) return `${days}d`;
  return `${Math.floor(days / 365)}y`;
}
