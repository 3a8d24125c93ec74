/**
 * Bugs that the simulation must catch, each a change of one place of the engine. They are what a person could do in a
 * hurry; a simulation that misses one of them would miss that person's commit too.
 */
export interface PlantedBug {
  readonly name: string;
  /** Below `src/`. */
  readonly file: string;
  /** Must be there exactly once. */
  readonly from: string;
  readonly to: string;
}

export const plantedBugs: readonly PlantedBug[] = [
  {
    name: "the lock is taken from a living holder",
    file: "release/lock.ts",
    from: "if (state.holder !== undefined && !state.isStale && options.steal !== true) {",
    to: "if (false && state.holder !== undefined) {",
  },
  {
    name: "the lock never runs out",
    file: "release/lock.ts",
    from: "const isExpired = holder.renewedAt + ttlMs <= options.clock.now();",
    to: "const isExpired = false && ttlMs > 0;",
  },
  {
    name: "a lock that was lost is not noticed",
    file: "release/lock.ts",
    from: "else lost.abort(lockLost(client.name, options.service, current));",
    to: "else lease = current ?? lease;",
  },
  {
    name: "a late writer overwrites the record",
    file: "release/history.ts",
    from: "if (fence > record.fence) {",
    to: "if (false && fence > record.fence) {",
  },
  {
    name: "the number is counted, not read",
    file: "release/release.ts",
    from: "number: locked.highest + 1,",
    to: "number: locked.records.length + 1,",
  },
  {
    name: "all waves begin together",
    file: "release/decide.ts",
    from: 'if (members.every(({ forward }) => forward.step === "healthy")) continue;',
    to: 'if (members.every(({ forward }) => forward.step !== "pending") && index === 0) continue;',
  },
  {
    name: "the bake time is forgotten",
    file: "release/decide.ts",
    from: "if (now < bakedAt) return",
    to: "if (now < bakedAt - state.bakeMs) return",
  },
  {
    name: "a failed release is not taken back",
    file: "release/decide.ts",
    from: 'if (state.onFailure === "halt" || backTo === undefined) return haltWhenJudged(state);',
    to: "return haltWhenJudged(state);",
  },
  {
    name: "nothing is evidence",
    file: "release/engine.ts",
    from: "this.#evidence.push(evidence);",
    to: "",
  },
  {
    name: "evidence is stored after the rollback began",
    file: "release/engine.ts",
    from: '    this.#save();\n    await this.#saving;\n    this.#set(name, { forward: { ...forward, cause, evidence: "taken" } });',
    to: '    this.#set(name, { forward: { ...forward, cause, evidence: "taken" } });',
  },
  {
    name: "what failed is not held",
    file: "release/engine.ts",
    from: "held: isOver ? [...record.held, ...heldAfter(record, clusters, backTo)] : record.held,",
    to: "held: record.held,",
  },
  {
    name: "the status of the release before is believed",
    file: "release/judge.ts",
    from: "if ((deployment.status?.observedGeneration ?? 0) < generation) {",
    to: "if (false) {",
  },
  {
    name: "pods need not be available",
    file: "release/judge.ts",
    from: "(status.availableReplicas ?? 0) === wanted",
    to: "true",
  },
  {
    name: "unknown is a success",
    file: "release/release.ts",
    from: 'case "healthy":\n      return 0;',
    to: 'case "healthy":\n    case "unknown":\n      return 0;',
  },
  {
    name: "what is still needed is pruned",
    file: "release/prune.ts",
    from: "!after.has(identity(object)) && ",
    to: "",
  },
];
