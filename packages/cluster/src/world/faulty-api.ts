/** The API as controllers meet it on a bad day: conflicts, errors, lost replies and a quota, as the faults say. */
import { type Api, type KubeObject, statusError } from "@slipway/kube";
import type { Fault } from "./faults.ts";

export interface Misfortune {
  /** What strikes the next write, if anything. */
  strikes(): "write conflict" | "api error" | "lost reply" | undefined;
  /** Whether new pods are refused now. */
  isQuotaFull(): boolean;
  count(fault: Fault): void;
}

export function faultyApi(api: Api, misfortune: Misfortune): Api {
  const write = <T>(kind: string, name: string, run: () => T): T => {
    const fault = misfortune.strikes();
    if (fault !== undefined) misfortune.count(fault);
    switch (fault) {
      case "write conflict":
        throw statusError(
          409,
          "Conflict",
          `Operation cannot be fulfilled on ${kind} "${name}": the object has been modified; please apply your changes to the latest version and try again`,
        );
      case "api error":
        throw statusError(500, "InternalError", "Internal error occurred: etcdserver: leader changed");
      case "lost reply":
        run();
        throw statusError(504, "Timeout", "Timeout: request did not complete within the allotted timeout");
      default:
        return run();
    }
  };
  const refuseByQuota = (object: KubeObject): void => {
    if (object.kind !== "Pod" || !misfortune.isQuotaFull()) return;
    misfortune.count("quota refusal");
    const { generateName = "" } = object.metadata;
    throw statusError(
      403,
      "Forbidden",
      `pods "${generateName}" is forbidden: exceeded quota: pods, requested: pods=1`,
    );
  };
  return {
    store: api.store,
    get: (ref) => api.get(ref),
    list: (type, options) => api.list(type, options),
    create: (object, options) =>
      write(object.kind, object.metadata.name, () => {
        refuseByQuota(object);
        return api.create(object, options);
      }),
    replace: (object, options) =>
      write(object.kind, object.metadata.name, () => api.replace(object, options)),
    patch: (ref, type, body, options) => write(ref.kind, ref.name, () => api.patch(ref, type, body, options)),
    apply: (object, options) => write(object.kind, object.metadata.name, () => api.apply(object, options)),
    delete: (ref, options) => write(ref.kind, ref.name, () => api.delete(ref, options)),
    takeWarnings: () => api.takeWarnings(),
  };
}
