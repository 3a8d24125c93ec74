/**
 * Revisions only rise, no two ReplicaSets share one, versions of the store rise by one, and at rest the Deployment
 * shows the newest.
 */
import type { Deployment, ReplicaSet } from "@slipway/kube";
import type { Checker } from "./checker.ts";
import { Violation } from "./checker.ts";
import { isOfTemplate, replicaSetsOf, revisionIn } from "./truth.ts";

export function revisionChecker(): Checker {
  let version = 0;
  return {
    name: "revisions",
    onCommit({ object, previous, type, resourceVersion }, actor, world) {
      if (resourceVersion !== version + 1) {
        throw new Violation("revisions", `version ${resourceVersion} was committed after ${version}`);
      }
      version = resourceVersion;
      if (object.kind !== "Deployment" && object.kind !== "ReplicaSet") return;
      if (previous !== undefined && revisionIn(object) < revisionIn(previous)) {
        const fell = `${revisionIn(previous)} to ${revisionIn(object)}`;
        throw new Violation("revisions", `${object.kind} ${object.metadata.name} fell from revision ${fell}`);
      }
      if (object.kind !== "ReplicaSet" || type === "DELETED" || actor.kind !== "controller") return;
      const revision = revisionIn(object);
      const twin = world.store
        .list("ReplicaSet", object.metadata.namespace)
        .find((other) => other.metadata.name !== object.metadata.name && revisionIn(other) === revision);
      if (revision !== 0 && revision !== revisionIn(previous ?? noRevision) && twin !== undefined) {
        throw new Violation(
          "revisions",
          `${object.metadata.name} and ${twin.metadata.name} are both ${revision}`,
        );
      }
    },
    atRest({ store }) {
      for (const deployment of store.list("Deployment")) {
        checkNewest(deployment, replicaSetsOf(store, deployment));
      }
    },
  };
}

const noRevision = { apiVersion: "", kind: "", metadata: { name: "" } };

function checkNewest(deployment: Deployment, replicaSets: readonly ReplicaSet[]): void {
  const ofTemplate = replicaSets.filter((replicaSet) => isOfTemplate(replicaSet, deployment));
  if (ofTemplate.length > 1) {
    throw new Violation("revisions", `${deployment.metadata.name} has two ReplicaSets of one template`);
  }
  const current = ofTemplate[0];
  const newest = Math.max(0, ...replicaSets.map(revisionIn));
  if (current === undefined || revisionIn(current) !== newest || revisionIn(deployment) !== newest) {
    throw new Violation(
      "revisions",
      `${deployment.metadata.name} shows revision ${revisionIn(deployment)}, its ReplicaSet ${current && revisionIn(current)}, the newest is ${newest}`,
    );
  }
}
