/**
 * When a single container has started well enough to be asked: its healthcheck says so, else its exposed TCP ports are
 * open, else it has lived for a moment. It never fails: what is not ready by then is seen as it is.
 */
import type { Clock } from "@slipway/base";
import { type Container, isUnseen } from "../engines/engine.ts";

const ALIVE_MS = 300;

export async function waitReady(container: Container, clock: Clock, deadlineMs: number): Promise<void> {
  const startedAt = clock.monotonic();
  let wait = 10;
  for (;;) {
    const elapsed = clock.monotonic() - startedAt;
    if (elapsed > deadlineMs || (await isReady(container, elapsed))) return;
    await clock.sleep(wait);
    wait = Math.min(200, wait * 2);
  }
}

async function isReady(container: Container, elapsedMs: number): Promise<boolean> {
  const state = await container.state();
  if (state.status === "exited") return true;
  if (state.health !== undefined) return state.health !== "starting";
  const wanted = container.service.exposed.filter(({ protocol }) => protocol === "tcp");
  if (wanted.length === 0) return elapsedMs >= ALIVE_MS;
  const sockets = await container.sockets();
  if (isUnseen(sockets)) return elapsedMs >= ALIVE_MS;
  return wanted.every(({ port }) => sockets.some((one) => one.protocol === "tcp" && one.port === port));
}
