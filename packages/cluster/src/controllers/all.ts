/** The controllers of a cluster: what kube-controller-manager and kube-scheduler run, as far as our kinds go. */
import type { Controller } from "./controller.ts";
import { deploymentController } from "./deployment/decide.ts";
import { disruptionController } from "./disruption/disruption.ts";
import { endpointsController } from "./endpoints/endpoints.ts";
import { endpointSliceController } from "./endpointslice/endpointslice.ts";
import { eventTtlController } from "./garbage/events.ts";
import { garbageController } from "./garbage/garbage.ts";
import { jobController } from "./job/job.ts";
import { namespaceContentsController } from "./namespace/contents.ts";
import { namespaceController } from "./namespace/namespace.ts";
import { createNodeLifecycleController } from "./nodelifecycle/nodelifecycle.ts";
import { replicaSetController } from "./replicaset/decide.ts";
import { schedulerController } from "./scheduler/scheduler.ts";

export function allControllers(
  options: { readonly nodeMonitorGraceMs?: number } = {},
): readonly Controller[] {
  const { nodeMonitorGraceMs } = options;
  return [
    deploymentController,
    replicaSetController,
    jobController,
    schedulerController,
    endpointsController,
    endpointSliceController,
    garbageController,
    eventTtlController,
    namespaceController,
    namespaceContentsController,
    createNodeLifecycleController(nodeMonitorGraceMs === undefined ? {} : { graceMs: nodeMonitorGraceMs }),
    disruptionController,
  ];
}
