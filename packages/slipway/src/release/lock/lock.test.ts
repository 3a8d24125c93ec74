import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type Clock,
  type ProcessIdentity,
  SlipwayError,
  seededRandom,
  until,
  VirtualClock,
} from "@slipway/base";
import {
  bootstrapCluster,
  createApi,
  createMemoryClient,
  createStore,
  type KubeClient,
  type Lease,
} from "@slipway/kube";
import { freezeLock, unlockLease } from "./freeze-lease.ts";
import { LOCK_TTL_MS, readLock } from "./lease.ts";
import { type HeldLock, type LockOptions, sightLock, takeLock } from "./lock.ts";
import { createSightings } from "./sightings.ts";

function setup(): {
  clock: VirtualClock;
  client: KubeClient;
  options: (who: string, changes?: Partial<LockOptions>) => LockOptions;
} {
  const clock = new VirtualClock();
  const api = createApi({ store: createStore(), now: () => clock.now(), random: seededRandom(1) });
  bootstrapCluster(api);
  const client = createMemoryClient({ name: "tokyo", api });
  return {
    clock,
    client,
    options: (who, changes = {}) => ({
      service: "shop",
      namespace: "default",
      clock,
      who,
      host: "laptop",
      pid: 1,
      message: "hotfix login",
      ...changes,
    }),
  };
}

test("a held lock is refused with who has it, since when and why", async () => {
  const { clock, client, options } = setup();
  const lock = await takeLock(client, options("aki"));
  await clock.advance(12_000);
  await assert.rejects(takeLock(client, options("mio")), {
    code: "LOCK_HELD",
    where: "tokyo/lock",
    message: 'aki@laptop (process 1) has held the lock of shop for 12.0 s, "hotfix login"',
  });
  await lock.release();
});

test("a lock that is given back is free at once, and the next one has a higher fencing token", async () => {
  const { client, options } = setup();
  const first = await takeLock(client, options("aki"));
  await first.release();
  assert.equal((await readLock(client, options("x"))).holder, undefined);
  const second = await takeLock(client, options("mio"));
  assert.deepEqual([first.fence, second.fence], [1, 2]);
  await second.release();
});

test("a holder renews its lock for as long as it lives", async () => {
  const { clock, client, options } = setup();
  const lock = await takeLock(client, options("aki"));
  for (let step = 0; step < 20; step += 1) await clock.advance(10_000);
  await assert.rejects(takeLock(client, options("mio")), { code: "LOCK_HELD" });
  assert.equal(lock.lost.aborted, false);
  await lock.release();
});

test("a holder that slept past its time asks before it changes anything, and finds out that it was taken over", async () => {
  const { clock, client, options } = setup();
  let isAsleep = false;
  const sleepy: Clock = {
    // What suspends a machine stops its monotonic clock too.
    now: () => clock.now(),
    monotonic: () => 0,
    sleep: async (ms, signal) => {
      await clock.sleep(ms, signal);
      if (isAsleep) await new Promise(() => undefined);
    },
  };
  const lock = await takeLock(client, options("aki", { clock: sleepy }));
  await lock.assure();
  isAsleep = true;
  await clock.advance(15_000);
  const before = await readLock(client, options("x"));
  await lock.assure();
  assert.deepEqual(
    await readLock(client, options("x")),
    before,
    "nobody is asked while it cannot have run out",
  );
  await clock.advance(15_000);
  const taking = takeLock(client, options("mio"));
  await clock.advance(15_000);
  const taken = await taking;
  await assert.rejects(lock.assure(), { code: "LOCK_LOST", message: /mio@laptop\/1 has taken the lock/ });
  assert.equal(lock.lost.aborted, true);
  await taken.release();
});

/** Takes the lock as a process that then dies: it never renews. */
async function takeAndDie(client: KubeClient, options: LockOptions): Promise<void> {
  await takeLock(client, {
    ...options,
    clock: {
      now: () => options.clock.now(),
      monotonic: () => options.clock.monotonic(),
      sleep: () => new Promise(() => undefined),
    },
  });
}

test("whenever somebody comes, a lock whose holder died is free within the time that the lease says", async () => {
  for (const diedMsAgo of [0, 5_000, 19_000, 20_400, 25_000, 29_900, 31_000, 120_000]) {
    const { clock, client, options } = setup();
    await takeAndDie(client, options("aki"));
    const { spec } = await client.get<Lease>({
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      name: "slipway.shop",
      namespace: "default",
    });
    const ttlMs = (spec?.leaseDurationSeconds ?? 0) * 1000;
    assert.equal(ttlMs, LOCK_TTL_MS);
    await clock.advance(diedMsAgo);
    const taking = takingAgain(client, options("mio"));
    // Until the end of the lease, or a watch when it has ended: nobody renews it.
    const allowedMs = Math.max(ttlMs - diedMsAgo, 7_500);
    let isTaken = false;
    void taking.then(() => {
      isTaken = true;
    });
    await clock.advance(Math.max(0, 28_000 - diedMsAgo - 1_000));
    if (diedMsAgo < 20_000) assert.equal(isTaken, false, `taken too soon, ${diedMsAgo} ms after the death`);
    await clock.advance(allowedMs - Math.max(0, 28_000 - diedMsAgo - 1_000));
    assert.equal(isTaken, true, `not free ${allowedMs} ms later, ${diedMsAgo} ms after the death`);
    await (await taking).release();
  }
});

/** As a command waits: every half second anew. */
async function takingAgain(client: KubeClient, options: LockOptions): Promise<HeldLock> {
  for (;;) {
    try {
      return await takeLock(client, options);
    } catch (error) {
      if (!(error instanceof SlipwayError) || error.code !== "LOCK_HELD") throw error;
      await options.clock.sleep(500);
    }
  }
}

test("a lease that stood still while another one was waited for is not watched again", async () => {
  const { clock, client, options } = setup();
  await takeAndDie(client, options("aki"));
  await clock.advance(25_000);
  const sightings = createSightings(clock);
  await sightLock(client, { ...options("mio"), sightings });
  await clock.advance(7_500);
  await (await takeLock(client, options("mio", { sightings }))).release();
});

test("a lease of a clock ahead stays in doubt when its time has come while another one was watched", async () => {
  const { clock, client, options } = setup();
  const bitAhead: Clock = { ...ahead(clock), now: () => clock.now() + 9_000 };
  await takeAndDie(client, options("aki", { clock: bitAhead }));
  const sightings = createSightings(clock);
  await sightLock(client, { ...options("mio"), sightings });
  await clock.advance(8_000);
  // Renewed one second from now: by that alone it would be held for 29 s more.
  await (await takeLock(client, options("mio", { sightings }))).release();
});

test("a renewal after the first look begins the watch anew", async () => {
  const { clock, client, options } = setup();
  // Behind by so much that its lease seems to have run out all the time.
  const behind: Clock = {
    now: () => clock.now() - 60_000,
    monotonic: () => clock.monotonic(),
    sleep: (ms, signal) => clock.sleep(ms, signal),
  };
  await clock.advance(120_000);
  const lock = await takeLock(client, options("aki", { clock: behind }));
  const sightings = createSightings(clock);
  await sightLock(client, { ...options("mio"), sightings });
  await clock.advance(60_000);
  const refused = assert.rejects(takeLock(client, options("mio", { sightings })), { code: "LOCK_HELD" });
  await clock.advance(10_000);
  await refused;
  await lock.release();
});

test("a holder whose clock is behind keeps its lock, because it goes on renewing", async () => {
  const { clock, client, options } = setup();
  const behind = {
    now: () => clock.now() - 60_000,
    monotonic: () => clock.monotonic(),
    sleep: (ms: number, signal?: AbortSignal) => clock.sleep(ms, signal),
  };
  await clock.advance(120_000);
  const lock = await takeLock(client, options("aki", { clock: behind }));
  const refused = assert.rejects(takeLock(client, options("mio")), { code: "LOCK_HELD" });
  await clock.advance(15_000);
  await refused;
  assert.equal(lock.lost.aborted, false);
  await lock.release();
});

/** A machine two minutes ahead. */
function ahead(clock: Clock): Clock {
  return {
    now: () => clock.now() + 120_000,
    monotonic: () => clock.monotonic(),
    sleep: (ms, signal) => clock.sleep(ms, signal),
  };
}

test("a dead holder whose clock was ahead is in nobody's way for longer", async () => {
  const { clock, client, options } = setup();
  await takeAndDie(client, options("aki", { clock: ahead(clock) }));
  await clock.advance(1_000);
  const taking = takeLock(client, options("mio"));
  await clock.advance(30_000);
  await (await taking).release();
});

test("a living holder whose clock is ahead keeps its lock", async () => {
  const { clock, client, options } = setup();
  const lock = await takeLock(client, options("aki", { clock: ahead(clock) }));
  const refused = assert.rejects(takeLock(client, options("mio")), { code: "LOCK_HELD" });
  await clock.advance(15_000);
  await refused;
  await lock.release();
});

test("a lock that ran out long ago is not watched first", async () => {
  const { clock, client, options } = setup();
  await takeAndDie(client, options("aki"));
  await clock.advance(11 * 60_000);
  await (await takeLock(client, options("mio"))).release();
});

test("a lock whose holder is known to be dead is free at once", async () => {
  const { client, options } = setup();
  await takeAndDie(client, options("aki"));
  const asked: unknown[] = [];
  const isHolderAlive = (holder: { host: string; pid: number }): boolean => {
    asked.push([holder.host, holder.pid]);
    return false;
  };
  await (await takeLock(client, options("mio", { isHolderAlive }))).release();
  assert.deepEqual(asked, [["laptop", 1]]);
});

const marks = { bootId: "boot-1", startTicks: "1000", pidNamespace: "pid:[7]", machineId: "machine-1" };

/** What is asked about the holder of this lock. */
async function holderAskedAbout(
  client: KubeClient,
  options: LockOptions,
): Promise<ProcessIdentity | undefined> {
  const asked: ProcessIdentity[] = [];
  await readLock(client, { ...options, isHolderAlive: (holder) => asked.push(holder) > 0 });
  return asked[0];
}

test("a holder is judged by all that its process left, through every renewal", async () => {
  const { clock, client, options } = setup();
  const lock = await takeLock(client, options("aki", marks));
  await clock.advance(12_000);
  assert.deepEqual(await holderAskedAbout(client, options("mio")), { host: "laptop", pid: 1, ...marks });
  await lock.release();
});

test("a holder that left nothing more is not judged by what the one before it left", async () => {
  const { client, options } = setup();
  await (await takeLock(client, options("aki", marks))).release();
  const lock = await takeLock(client, options("mio", { pid: 2 }));
  const { bootId, startTicks, pidNamespace, machineId, ...known } =
    (await holderAskedAbout(client, options("x"))) ?? {};
  assert.deepEqual(known, { host: "laptop", pid: 2 });
  assert.deepEqual(
    [bootId, startTicks, pidNamespace, machineId],
    [undefined, undefined, undefined, undefined],
  );
  await lock.release();
});

for (const [what, annotation] of [
  ["an older version, which knows none", JSON.stringify({ fence: 1, ...marks })],
  ["somebody by hand", "{"],
  ["nobody", undefined],
] as const) {
  test(`a holder whose process was described by ${what}, is judged by its host and number`, async () => {
    const { client, options } = setup();
    await client.create<Lease>({
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: {
        name: "slipway.shop",
        namespace: "default",
        annotations: {
          "slipway.dev/host": "laptop",
          "slipway.dev/pid": "2",
          ...(annotation === undefined ? {} : { "slipway.dev/process": annotation }),
        },
      },
      spec: { holderIdentity: "aki@laptop/2", leaseTransitions: 2, leaseDurationSeconds: 20 },
    });
    assert.deepEqual(await holderAskedAbout(client, options("mio")), { host: "laptop", pid: 2 });
  });
}

test("a holder whose lock was stolen notices at its next renewal and does not give back what is not its own", async () => {
  const { clock, client, options } = setup();
  const lock = await takeLock(client, options("aki"));
  const thief = await takeLock(client, options("mio", { steal: true, pid: 2 }));
  await clock.advance(10_000);
  await until("the loss is noticed", () => lock.lost.aborted);
  assert.match((lock.lost.reason as Error).message, /^mio@laptop\/2 has taken the lock of shop$/);
  await lock.release();
  const lease = await client.get<Lease>({
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    namespace: "default",
    name: "slipway.shop",
  });
  assert.equal(lease.spec?.holderIdentity, "mio@laptop/2");
  await thief.release();
});

const frozen = { who: "mio", message: "freeze for the sale", since: 0, until: undefined };

test("a freeze refuses the lock with who, since when and why, and a rollback goes through it", async () => {
  const { clock, client, options } = setup();
  await freezeLock(client, options("mio"), { ...frozen, since: clock.now() });
  await clock.advance(60_000);
  await assert.rejects(takeLock(client, options("aki")), {
    code: "LOCK_FROZEN",
    message: 'shop is frozen by mio for 1 min 00 s, "freeze for the sale"',
    hint: "Nothing was changed. Ask mio; slipway unlock lifts it. A rollback goes through a freeze.",
  });
  const lock = await takeLock(client, options("aki", { goesThroughFreeze: true }));
  assert.equal(lock.freeze?.message, "freeze for the sale");
  await lock.release();
  await assert.rejects(takeLock(client, options("aki")), { code: "LOCK_FROZEN" }, "the freeze stays");
});

test("a freeze with an end is over by itself", async () => {
  const { clock, client, options } = setup();
  await freezeLock(client, options("mio"), { ...frozen, until: clock.now() + 60_000 });
  await assert.rejects(takeLock(client, options("aki")), { code: "LOCK_FROZEN", message: /ends in 1 min/ });
  await clock.advance(60_000);
  await (await takeLock(client, options("aki"))).release();
});

test("a freeze that comes while somebody releases leaves that lock alone and stops the next one", async () => {
  const { clock, client, options } = setup();
  const lock = await takeLock(client, options("aki"));
  await freezeLock(client, options("mio"), frozen);
  // Several renewals: the first one meets the changed lease.
  await clock.advance(30_000);
  assert.equal(lock.lost.aborted, false);
  assert.equal((await readLock(client, options("x"))).holder?.who, "aki");
  await lock.release();
  await assert.rejects(takeLock(client, options("aki")), { code: "LOCK_FROZEN" });
});

test("a lock is given back although somebody freezes the service at that moment, and the freeze stays", async () => {
  const { client, options } = setup();
  let isCrossed = false;
  const crossed: KubeClient = {
    ...client,
    replace: async (object, write) => {
      if (isCrossed) {
        isCrossed = false;
        await freezeLock(client, options("mio"), frozen);
      }
      return client.replace(object, write);
    },
  };
  const lock = await takeLock(crossed, options("aki"));
  isCrossed = true;
  await lock.release();
  const { holder, freeze } = await readLock(client, options("x"));
  assert.deepEqual([holder, freeze?.message], [undefined, "freeze for the sale"]);
});

test("a freeze that nobody can read is a freeze all the same, and can be lifted", async () => {
  const { client, options } = setup();
  await (await takeLock(client, options("aki"))).release();
  const lease = {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    namespace: "default",
    name: "slipway.shop",
  };
  await client.patch(lease, "merge", { metadata: { annotations: { "slipway.dev/freeze": "no deploys!" } } });
  await assert.rejects(takeLock(client, options("aki")), { code: "LOCK_FROZEN", message: /"no deploys!"/ });
  await unlockLease(client, options("aki"), () => ({ lift: true, free: false }));
  await (await takeLock(client, options("aki"))).release();
});

test("unlocking takes the lock from its holder, who notices, and keeps the fencing token", async () => {
  const { clock, client, options } = setup();
  const lock = await takeLock(client, options("aki"));
  const done = await unlockLease(client, options("mio"), () => ({ lift: true, free: true }));
  assert.equal(done.freed?.who, "aki");
  await clock.advance(5_000);
  await until("the loss is noticed", () => lock.lost.aborted);
  const next = await takeLock(client, options("mio"));
  assert.equal(next.fence, 2);
  await next.release();
});

test("whoever steals the lock of a living holder is told whose it was", async () => {
  const { client, options } = setup();
  const lock = await takeLock(client, options("aki"));
  const thief = await takeLock(client, options("mio", { steal: true, pid: 2 }));
  assert.deepEqual([thief.stolenFrom?.who, thief.stolenFrom?.message], ["aki", "hotfix login"]);
  await Promise.all([lock.release(), thief.release()]);
});
