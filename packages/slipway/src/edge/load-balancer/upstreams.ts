/**
 * Connections to endpoints: one pool each, opened when first used, and the upgraded ones (websockets) beside it. An
 * endpoint that leaves is drained: no new requests, those in flight finish, and what still runs after the drain time
 * is cut off.
 */
import { once } from "node:events";
import type { Duplex } from "node:stream";
import type { Clock } from "@slipway/base";
import { Pool } from "undici";
import type { Backend } from "./balancer.ts";

export type Dial = (backend: Backend, timeoutMs: number) => Promise<Duplex>;

export interface Upstreams {
  pool(backend: Backend): Pool;
  /** Tells of a connection that left HTTP; `cut` ends it. Returns what to call when it has ended by itself. */
  upgraded(backend: Backend, cut: () => void): () => void;
  /** Ends every upgraded connection now. */
  cutUpgraded(): void;
  /** Resolves when the last request has finished or the drain time is over. */
  drain(backend: Backend): Promise<void>;
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 1000;

export function createUpstreams(options: {
  readonly dial: Dial | undefined;
  readonly clock: Clock;
  readonly drainMs: number;
}): Upstreams {
  const pools = new Map<string, Pool>();
  const tunnels = new Set<{ readonly backend: Backend; readonly cut: () => void }>();
  const { clock, drainMs, dial } = options;
  return {
    pool(backend) {
      const existing = pools.get(backend.id);
      if (existing !== undefined) return existing;
      const pool = new Pool(`http://${backend.ip}:${backend.port}`, {
        // Below the usual keep-alive of servers: nginx 75 s, Go 90 s or more; Node's 5 s is sent as a hint, which undici obeys.
        keepAliveTimeout: 4000,
        keepAliveMaxTimeout: 60_000,
        connectTimeout: CONNECT_TIMEOUT_MS,
        headersTimeout: 300_000,
        bodyTimeout: 300_000,
        pipelining: 1,
        allowH2: false,
        ...(dial === undefined
          ? {}
          : {
              connect: (_target, callback) => {
                dial(backend, CONNECT_TIMEOUT_MS).then(
                  (socket) => callback(null, socket as never),
                  (error: Error) => callback(error, null),
                );
              },
            }),
      });
      pools.set(backend.id, pool);
      return pool;
    },
    upgraded(backend, cut) {
      const tunnel = { backend, cut };
      tunnels.add(tunnel);
      return () => tunnels.delete(tunnel);
    },
    cutUpgraded() {
      for (const { cut } of [...tunnels]) cut();
    },
    async drain(backend) {
      const pool = pools.get(backend.id);
      // An endpoint that comes back under the same address starts with a new one.
      pools.delete(backend.id);
      await Promise.all([pool && finish(pool), finishTunnels(backend)]);
    },
    async close() {
      const all = [...pools.values()];
      pools.clear();
      await Promise.all(all.map(finish));
    },
  };

  /** They rarely end by themselves, so nothing watches for it: whoever is still there after the drain time goes. */
  async function finishTunnels({ id }: Backend): Promise<void> {
    const open = [...tunnels].filter(({ backend }) => backend.id === id);
    if (open.length === 0) return;
    if (drainMs > 0) await clock.sleep(drainMs);
    for (const tunnel of open) if (tunnels.has(tunnel)) tunnel.cut();
  }

  async function finish(pool: Pool): Promise<void> {
    if (pool.destroyed || pool.closed) return;
    const closed = pool.close();
    if (drainMs > 0) {
      const giveUp = new AbortController();
      await Promise.race([closed, clock.sleep(drainMs, giveUp.signal).catch(() => {})]);
      giveUp.abort();
    }
    if (!pool.destroyed) await pool.destroy();
    await closed.catch(() => {});
  }
}

/** Opens a plain TCP connection; for endpoints that this machine reaches without help. */
export async function dialTcp(ip: string, port: number, timeoutMs: number): Promise<Duplex> {
  const { connect } = await import("node:net");
  const socket = connect({ host: ip, port });
  socket.setNoDelay(true);
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    await once(socket, "connect", { signal });
  } catch (error) {
    socket.destroy();
    throw error;
  }
  return socket;
}
