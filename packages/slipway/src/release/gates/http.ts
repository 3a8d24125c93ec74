/** An address that must answer well several times in a row: one good answer may come from a pod that is about to die. */
import type { GateConfig } from "../../config/types.ts";
import type { Asking, GateFinding, HttpAnswer } from "./gate.ts";

type HttpGate = Extract<GateConfig, { kind: "http" }>;

const ANSWER_WITHIN_MS = 10_000;

export async function askHttp(gate: HttpGate, asking: Asking): Promise<GateFinding> {
  const { clock, signal, waiting } = asking;
  let good = 0;
  let asked = 0;
  while (!signal.aborted) {
    const problem = await question(gate, asking);
    if (signal.aborted) break;
    asked += 1;
    good = problem === undefined ? good + 1 : 0;
    const values = { url: gate.url, asked, good, wanted: gate.attempts };
    if (good >= gate.attempts) {
      return { outcome: "passed", said: `${gate.url} answered well ${times(good)}`, values };
    }
    waiting(
      problem === undefined
        ? `${gate.url} answered well ${good} of ${gate.attempts} times`
        : `${gate.url} ${problem}`,
      values,
    );
    await clock.sleep(gate.intervalMs, signal).catch(() => undefined);
  }
  return { outcome: "timed-out", said: "", values: {} };
}

async function question(
  gate: HttpGate,
  { clock, ports, signal }: Pick<Asking, "clock" | "ports" | "signal">,
): Promise<string | undefined> {
  const timer = new AbortController();
  const late = new AbortController();
  clock.sleep(ANSWER_WITHIN_MS, timer.signal).then(
    () => late.abort(),
    () => undefined,
  );
  try {
    const answer = await ports.get(gate.url, { signal: AbortSignal.any([signal, late.signal]) });
    return problemOf(gate, answer);
  } catch (error) {
    if (late.signal.aborted) return `did not answer within ${ANSWER_WITHIN_MS / 1000} s`;
    return `does not answer: ${error instanceof Error ? error.message : String(error)}`;
  } finally {
    timer.abort();
  }
}

/** Undefined when the answer is as expected. */
export function problemOf(
  expect: Pick<HttpGate, "status" | "body" | "headers">,
  answer: HttpAnswer,
): string | undefined {
  if (answer.status !== expect.status) return `answered ${answer.status}, not ${expect.status}`;
  for (const [name, wanted] of Object.entries(expect.headers)) {
    const value = answer.headers[name.toLowerCase()];
    if (value === undefined) return `answered without the header ${name}`;
    if (wanted !== "" && value !== wanted) return `answered ${name}: ${value}, not ${wanted}`;
  }
  if (expect.body !== undefined && !answer.body.includes(expect.body)) {
    return `answered without "${expect.body}" in its body`;
  }
  return undefined;
}

function times(count: number): string {
  return count === 1 ? "once" : `${count} times in a row`;
}
