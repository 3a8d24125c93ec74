/**
 * The pure arithmetic of scheduling and rolling updates, for those who forecast instead of run: the very functions that
 * the scheduler and the controllers of a cluster decide with. An entry of its own, so that a forecast loads no server.
 */

export { newReplicas, shrinkOld } from "./controllers/deployment/rolling.ts";
export {
  type Limits,
  limitsOf,
  replicasOf,
  resolveLimits,
} from "./controllers/deployment/strategy.ts";
export { podsToDelete } from "./controllers/replicaset/ranking.ts";
export { matchesNodeSelector, termSelects, tolerates } from "./controllers/scheduler/affinity.ts";
export { refusals, unschedulableMessage } from "./controllers/scheduler/filters.ts";
export {
  allocatableOf,
  amountOf,
  hasEnded,
  type NodeView,
  nodeViews,
  requestsOf,
} from "./controllers/scheduler/resources.ts";
export { scoreNodes } from "./controllers/scheduler/scores.ts";
