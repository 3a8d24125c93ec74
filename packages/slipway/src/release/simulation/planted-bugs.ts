/**
 * Bugs that the simulation must catch, each a change of one place of the engine. They are what a person could do in a
 * hurry; a simulation that misses one of them would miss that person's commit too.
 */
export interface PlantedBug {
  readonly name: string;
  /** One that catches it. */
  readonly seed: number;
  /** The promise that must be what catches it; any, when undefined. */
  readonly by?: string;
  /** Several where one safeguard stands behind another: without one of them alone nothing happens. */
  readonly edits: readonly Edit[];
}

export interface Edit {
  /** Below `src/release/`. */
  readonly file: string;
  /** Must be there exactly once. */
  readonly from: string;
  readonly to: string;
}

export const plantedBugs: readonly PlantedBug[] = [
  {
    name: "the lock is taken from a living holder",
    seed: 108,
    edits: [
      {
        file: "lock/lock.ts",
        from: "if (options.steal !== true) throw lockHeld(client.name, options, state.holder);",
        to: "",
      },
      {
        file: "lock/lock.ts",
        from: "const living = await holderAfterAll(client, options, { lease: current, state, sighting });",
        to: "const living = undefined as LockHolder | undefined;\n      void holderAfterAll;",
      },
    ],
  },
  {
    name: "a lock that looks run out is not watched",
    seed: 113,
    edits: [
      {
        file: "lock/lock.ts",
        from: "const living = await holderAfterAll(client, options, { lease: current, state, sighting });",
        to: "const living = undefined as LockHolder | undefined;\n      void holderAfterAll;",
      },
    ],
  },
  {
    name: "the lock never runs out",
    seed: 2,
    edits: [
      {
        file: "lock/lease.ts",
        from: "const isExpired = holder.renewedAt + ttlOf(lease) <= options.clock.now();",
        to: "const isExpired = false;",
      },
      {
        file: "lock/lock.ts",
        from: "return firstAgeMs < -AHEAD_MS || ageMs >= ttlOf(lease) - DOUBTED_BEFORE_END_MS;",
        to: "return firstAgeMs < -AHEAD_MS && ageMs < 0 && lease !== undefined;",
      },
    ],
  },
  {
    name: "a lock is watched when its time is over, not before",
    by: "lock",
    seed: 2,
    edits: [
      {
        file: "lock/lock.ts",
        from: "return firstAgeMs < -AHEAD_MS || ageMs >= ttlOf(lease) - DOUBTED_BEFORE_END_MS;",
        to: "return firstAgeMs < -AHEAD_MS || ageMs >= ttlOf(lease);",
      },
      {
        file: "lock/lock.ts",
        from: "const watchMs = WATCH_MS - standsStillMs;",
        to: "const watchMs = WATCH_MS + 0 * standsStillMs;",
      },
    ],
  },
  {
    name: "a lock that was lost is noticed neither by its renewal nor by a refused record",
    seed: 24,
    edits: [
      {
        file: "lock/lock.ts",
        from: "else lost.abort(lockLost(client.name, options.service, current));",
        to: "else lease = current ?? lease;",
      },
      {
        file: "engine/record-keeper.ts",
        from: 'if (error instanceof SlipwayError && error.code === "RECORD_FENCED") onFenced?.(error);',
        to: "void onFenced;",
      },
    ],
  },
  {
    name: "the lock is taken without comparing versions",
    seed: 2,
    edits: [
      {
        file: "lock/lease.ts",
        from: "      ...(current?.metadata.resourceVersion === undefined\n        ? {}\n        : { resourceVersion: current.metadata.resourceVersion }),\n",
        to: "",
      },
    ],
  },
  {
    name: "a late writer overwrites the record",
    seed: 494,
    edits: [
      {
        file: "history/records.ts",
        from: "if (fence > record.fence) {",
        to: "if (false && fence > record.fence) {",
      },
    ],
  },
  {
    name: "the number is counted, not read",
    seed: 19,
    edits: [
      { file: "carry-out.ts", from: "number: locked.highest + 1,", to: "number: locked.records.length + 1," },
    ],
  },
  {
    name: "the second wave does not wait for the first",
    seed: 0,
    edits: [
      {
        file: "engine/decide.ts",
        from: "      : members.some(({ forward }) => !isBehind(forward));",
        to: '      : members.some(({ forward }) => forward.step === "pending");',
      },
    ],
  },
  {
    name: "the bake time is forgotten",
    seed: 5,
    edits: [{ file: "engine/decide.ts", from: "+ bakeOf(state, index);", to: "+ 0 * bakeOf(state, index);" }],
  },
  {
    name: "a failed release is not taken back",
    seed: 69,
    edits: [
      {
        file: "engine/decide.ts",
        from: 'if (state.onFailure === "halt" || backTo === undefined) return haltWhenJudged(state);',
        to: 'if (state.onFailure !== "halt" || backTo !== undefined) return haltWhenJudged(state);',
      },
    ],
  },
  {
    name: "the rollback does not wait for the evidence",
    seed: 6,
    edits: [
      {
        file: "engine/decide.ts",
        from: "if (takes.length > 0) return",
        to: "if (takes.length > 0 && state.backTo === undefined) return",
      },
    ],
  },
  {
    name: "evidence is taken and not kept",
    seed: 7,
    edits: [{ file: "engine/engine.ts", from: "run.evidence.push(evidence);", to: "void evidence;" }],
  },
  {
    name: "evidence is stored when the rollback has begun",
    seed: 7,
    edits: [
      {
        file: "engine/engine.ts",
        from: "    run.keeper.save();\n    await run.keeper.saved();\n    run.set(name, { forward: { ...forward, cause",
        to: "    run.set(name, { forward: { ...forward, cause",
      },
    ],
  },
  {
    name: "a cluster is changed before the record says so",
    by: "announced",
    seed: 5,
    edits: [
      {
        file: "engine/engine.ts",
        from: "  run.keeper.save();\n  const abort = new AbortController();",
        to: "  const abort = new AbortController();",
      },
      {
        file: "engine/engine.ts",
        from: "const task = run.keeper.saved().then(() => rollForward(run, name, signal));",
        to: "const task = rollForward(run, name, signal).finally(() => run.keeper.save());",
      },
    ],
  },
  {
    name: "the outcome is not stored",
    seed: 26,
    edits: [
      {
        file: "engine/engine.ts",
        from: "  if (!isLost) {\n    run.keeper.save();\n    await run.keeper.saved();\n  }",
        to: "  void isLost;",
      },
    ],
  },
  {
    name: "only the first cluster keeps records",
    seed: 30,
    edits: [
      {
        file: "engine/record-keeper.ts",
        from: "await Promise.all(input.targets().map((target) => writeTo(input, target, record)));",
        to: "await Promise.all(input.targets().slice(0, 1).map((target) => writeTo(input, target, record)));",
      },
    ],
  },
  {
    name: "what failed is not held",
    seed: 33,
    edits: [
      {
        file: "engine/record-keeper.ts",
        from: "held: isOver ? [...record.held, ...heldAfter(record, clusters, backTo)] : record.held,",
        to: "held: record.held,",
      },
    ],
  },
  {
    name: "pods need not be available",
    seed: 1,
    edits: [
      {
        file: "judge/deployment.ts",
        from: "const { updatedReplicas = 0, replicas = 0, availableReplicas = 0 } = deployment.status ?? {};",
        to: "const { updatedReplicas = 0, replicas = 0 } = deployment.status ?? {};\n  const availableReplicas = wanted;",
      },
    ],
  },
  {
    name: "one crash after the other is waited for",
    seed: 69,
    edits: [
      {
        file: "judge/judge.ts",
        from: 'const doomed = judgements.find((one) => one.judgement.verdict === "doomed");',
        to: 'const doomed = judgements.find((one) => one.judgement.verdict === "doomed" && seen.size > 1_000);',
      },
    ],
  },
  {
    name: "unknown is a success",
    seed: 29,
    edits: [
      {
        file: "finish.ts",
        from: '    case "healthy":\n      return 0;',
        to: '    case "healthy":\n    case "unknown":\n      return 0;',
      },
    ],
  },
  {
    name: "a silent cluster is called healthy",
    seed: 265,
    edits: [
      {
        file: "engine/rollout.ts",
        from: "return input.onFact(silence(input));",
        to: 'return input.onFact({ kind: "ok", notes: [] });',
      },
    ],
  },
  {
    name: "what is still needed is pruned",
    seed: 1,
    edits: [
      {
        file: "apply/prune.ts",
        from: "if (!there.has(identity)) going.set(identity, object);",
        to: "going.set(identity, object);",
      },
    ],
  },
  {
    name: "the ConfigMap of an older release is pruned",
    seed: 1,
    edits: [
      {
        file: "apply/prune.ts",
        from: "const kept = new Set(input.kept.filter((object) => KEPT_WITH_HISTORY.has(object.kind)).map(identityOf));",
        to: "const kept = new Set<string>();",
      },
    ],
  },
  {
    name: "the restored release keeps the failed image",
    seed: 69,
    edits: [
      {
        file: "engine/roll-back.ts",
        from: "const applied = await applyRelease(run, name, { release: backTo, signal });",
        to: "const applied = await applyRelease(run, name, { release: { ...backTo, objects: run.input.record.objects }, signal });",
      },
    ],
  },
  {
    name: "a record in doubt is thrown away",
    seed: 30,
    edits: [
      {
        file: "history/records.ts",
        from: "if (known === undefined || isNewer(record, known)) newest.set(record.number, record);",
        to: "if (known === undefined || isNewer(known, record)) newest.set(record.number, record);",
      },
    ],
  },
  {
    name: "a dead writer is not closed",
    seed: 4,
    edits: [
      {
        file: "lock/under-lock.ts",
        from: 'if (record.outcome !== "in-progress") {',
        to: 'if (record.outcome !== "nothing" as string) {',
      },
    ],
  },
  {
    name: "the status of the release before is believed",
    seed: 217,
    edits: [
      {
        file: "judge/workload.ts",
        from: "return (workload.status?.observedGeneration ?? 0) >= generation;",
        to: "return (workload.status?.observedGeneration ?? 0) >= 0 * generation;",
      },
    ],
  },
  {
    name: "a workload is stopped before it is changed",
    by: "floor",
    seed: 0,
    edits: [
      {
        file: "apply/apply.ts",
        from: "const sent = await withLiveAccount(client, served.object, FIELD_MANAGER);",
        to: 'const sent = await withLiveAccount(client, served.object, FIELD_MANAGER);\n    if (sent.kind === "Deployment") await client.patch({ ...sent, kind: sent.kind, apiVersion: sent.apiVersion, namespace: sent.metadata.namespace, name: sent.metadata.name }, "merge", { spec: { replicas: 0 } }).catch(() => undefined);',
      },
    ],
  },
  {
    name: "the next wave begins though the one in front of it has failed",
    by: "blast",
    seed: 7,
    edits: [
      {
        file: "engine/decide.ts",
        from: 'if (forwards.some((forward) => forward.step === "failed")) return afterFailure(state);',
        to: 'if (forwards.some(({ step }) => step === "failed") && !forwards.some(({ step }) => ["pending", "applying"].includes(step))) return afterFailure(state);',
      },
      {
        file: "engine/decide.ts",
        from: '    forward.step === "healthy" ||\n    forward.step === "refused" ||',
        to: '    forward.step === "healthy" ||\n    forward.step === "failed" ||\n    forward.step === "refused" ||',
      },
    ],
  },
];
