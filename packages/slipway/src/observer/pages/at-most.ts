/** An answer, or another one when it takes too long. The late one is not waited for, and its failure is nobody's. */
import type { Clock } from "@slipway/base";

export async function atMost<T>(
  clock: Clock,
  ms: number,
  answer: Promise<T>,
  otherwise: () => T,
): Promise<T> {
  const timer = new AbortController();
  const late = clock.sleep(ms, timer.signal).then(otherwise);
  late.catch(() => undefined);
  answer.catch(() => undefined);
  try {
    return await Promise.race([answer, late]);
  } finally {
    timer.abort();
  }
}
