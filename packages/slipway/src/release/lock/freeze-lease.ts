/**
 * What a person changes in the lease of one cluster: freezes the service, lifts the freeze, takes the lock from its holder.
 * In all clusters together: `freeze.ts`.
 */
import { SlipwayError } from "@slipway/base";
import { isReason, type KubeClient, type Lease } from "@slipway/kube";
import {
  describeFreeze,
  emptyLease,
  FREEZE_ANNOTATION,
  type Freeze,
  getLease,
  type LeaseName,
  type LeaseReader,
  type LockHolder,
  type LockState,
  stateOf,
} from "./lease.ts";

/**
 * Freezes the service in one cluster. Who releases at this moment may finish; the next deploy is refused. Throws LOCK_FROZEN
 * where another person has: to freeze again, for a minute say, would lift that without a word.
 */
export async function freezeLock(
  client: KubeClient,
  options: LeaseName & LeaseReader,
  freeze: Freeze,
): Promise<void> {
  await updateLease(client, options, (lease) => {
    refuseForeign(client.name, options, { freeze: stateOf(lease, options).freeze, who: freeze.who });
    return {
      ...lease,
      metadata: {
        ...lease.metadata,
        annotations: { ...lease.metadata.annotations, [FREEZE_ANNOTATION]: JSON.stringify(freeze) },
      },
    };
  });
}

/** Throws LOCK_FROZEN when `freeze` is in force and of somebody else than `who`. */
export function refuseForeign(
  cluster: string,
  { service, clock }: LeaseName & LeaseReader,
  { freeze, who }: { readonly freeze: Freeze | undefined; readonly who: string },
): void {
  if (freeze === undefined || freeze.who === who) return;
  throw new SlipwayError({
    code: "LOCK_FROZEN",
    where: `${cluster}/lock`,
    message: `${service} is frozen already, ${describeFreeze(freeze, clock.now())}`,
    hint: `Nothing was changed. Ask ${freeze.who}; slipway unlock --force lifts it.`,
  });
}

export interface Unlocking {
  readonly lifted: Freeze | undefined;
  /** Whose lock was taken away. */
  readonly freed: LockHolder | undefined;
}

/** Lifts a freeze and empties the lease of its holder, as far as `may` allows; changes nothing when there is neither. */
export async function unlockLease(
  client: KubeClient,
  options: LeaseName & LeaseReader,
  may: (state: LockState) => { readonly lift: boolean; readonly free: boolean },
): Promise<Unlocking> {
  let done: Unlocking = { lifted: undefined, freed: undefined };
  await updateLease(client, options, (lease) => {
    const state = stateOf(lease, options);
    const { lift, free } = may(state);
    const isLifting = lift && lease.metadata.annotations?.[FREEZE_ANNOTATION] !== undefined;
    const isFreeing = free && state.holder !== undefined;
    done = { lifted: isLifting ? state.freeze : undefined, freed: isFreeing ? state.holder : undefined };
    if (!isLifting && !isFreeing) return undefined;
    const { [FREEZE_ANNOTATION]: freeze, ...others } = lease.metadata.annotations ?? {};
    const annotations =
      isLifting || freeze === undefined ? others : { ...others, [FREEZE_ANNOTATION]: freeze };
    return {
      ...lease,
      metadata: { ...lease.metadata, annotations },
      spec: { ...lease.spec, ...(isFreeing ? { holderIdentity: "" } : {}) },
    };
  });
  return done;
}

/** A renewal may come in between at any time: read and tried again. */
const UPDATE_ATTEMPTS = 5;

async function updateLease(
  client: KubeClient,
  name: LeaseName,
  change: (lease: Lease) => Lease | undefined,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const current = await getLease(client, name);
    const changed = change(current ?? emptyLease(name));
    if (changed === undefined) return;
    try {
      await (current === undefined ? client.create(changed) : client.replace(changed));
      return;
    } catch (error) {
      const isRaced = isReason(error, "Conflict") || isReason(error, "AlreadyExists");
      if (!isRaced || attempt >= UPDATE_ATTEMPTS) throw error;
    }
  }
}
