/** The logs of a Job's pods, told line by line while they run. */
import type { Clock } from "@slipway/base";
import type { KubeClient, Pod } from "@slipway/kube";

/** By pod and container: what is being read, and how many lines have been told. */
export type FollowedLogs = Map<string, { reading: Promise<void> | undefined; lines: number }>;

/** Resolves when all of them have been told to their end, or after `atMostMs`: a node that is lost never ends a log. */
export async function told(
  logs: FollowedLogs,
  {
    clock,
    atMostMs,
    signal,
  }: { readonly clock: Clock; readonly atMostMs: number; readonly signal: AbortSignal },
): Promise<void> {
  const timer = new AbortController();
  const limit = clock.sleep(atMostMs, AbortSignal.any([timer.signal, signal])).catch(() => undefined);
  await Promise.race([Promise.all([...logs.values()].map(({ reading }) => reading)), limit]);
  timer.abort();
}

/**
 * Each pod's log from its beginning, once it has begun; a pod that ends is read to its end. One that breaks off is read
 * again, and what was told before is passed over.
 */
export function followLog(
  client: KubeClient,
  pod: Pod,
  at: {
    readonly logs: FollowedLogs;
    readonly signal: AbortSignal;
    readonly onLine: (line: string) => void;
  },
): void {
  for (const { name, state } of pod.status?.containerStatuses ?? []) {
    const key = `${pod.metadata.uid}/${name}`;
    const log = at.logs.get(key) ?? { reading: undefined, lines: 0 };
    if (log.reading !== undefined || (state?.running === undefined && state?.terminated === undefined))
      continue;
    at.logs.set(key, log);
    const tell = (line: string, number: number): void => {
      if (number <= log.lines) return;
      log.lines = number;
      at.onLine(line);
    };
    const read = async (): Promise<void> => {
      const decoder = new TextDecoder();
      let rest = "";
      let number = 0;
      const place = { namespace: pod.metadata.namespace ?? "default", name: pod.metadata.name };
      for await (const chunk of client.logs(place, { container: name, follow: true, signal: at.signal })) {
        const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) tell(line, ++number);
      }
      if (rest !== "") tell(rest, number + 1);
    };
    log.reading = read().catch(() => {
      log.reading = undefined;
    });
  }
}
