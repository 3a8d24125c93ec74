/**
 * Defaults of pod specs, as in kubernetes `pkg/apis/core/v1/defaults.go`. Templates in Deployments and ReplicaSets get
 * the same as Pods, but for what `podOnlyDefaults` adds: were that in templates too, an old template would differ
 * from a new one whenever Kubernetes learns a new default.
 */
import { canonicalQuantity, quantityProblem } from "../quantity.ts";
import type { Quantity } from "../resources/meta.ts";
import { edit, editEach, type Fields, fill, inTurn } from "./edit.ts";

/** For the spec of a Pod and of a template. */
export function podSpecDefaults(spec: Fields): Fields {
  return inTurn(
    spec,
    (value) =>
      fill(value, {
        dnsPolicy: "ClusterFirst",
        restartPolicy: "Always",
        schedulerName: "default-scheduler",
        securityContext: {},
        terminationGracePeriodSeconds: 30,
      }),
    serviceAccountNames,
    (value) => editEach(value, "volumes", volumeDefaults),
    ...["initContainers", "containers", "ephemeralContainers"].map(
      (name) => (value: Fields) =>
        editEach(value, name, (container) => containerDefaults(container, spec["hostNetwork"] === true)),
    ),
  );
}

/** `serviceAccount` is the old name of `serviceAccountName`; the server keeps both the same, and neither when empty. */
function serviceAccountNames(spec: Fields): Fields {
  const name = spec["serviceAccountName"] || spec["serviceAccount"];
  if (spec["serviceAccount"] === name && spec["serviceAccountName"] === name && name !== "") return spec;
  const { serviceAccount: _old, serviceAccountName: _name, ...rest } = spec;
  return name ? { ...spec, serviceAccount: name, serviceAccountName: name } : rest;
}

/** For Pods only, never for templates. */
export function podOnlyDefaults(spec: Fields): Fields {
  const requestsFromLimits = (container: Fields): Fields =>
    edit(container, "resources", (resources) => {
      const limits = resources["limits"];
      if (typeof limits !== "object" || limits === null) return resources;
      const requests = (resources["requests"] ?? {}) as Fields;
      const filled = fill(requests, limits as Fields);
      return filled === requests ? resources : { ...resources, requests: filled };
    });
  return inTurn(
    spec,
    (value) => fill(value, { enableServiceLinks: true }),
    (value) => editEach(value, "initContainers", requestsFromLimits),
    (value) => editEach(value, "containers", requestsFromLimits),
  );
}

function containerDefaults(container: Fields, isHostNetwork: boolean): Fields {
  return inTurn(
    container,
    (value) =>
      fill(value, {
        imagePullPolicy: pullPolicyOf(value["image"]),
        resources: {},
        terminationMessagePath: "/dev/termination-log",
        terminationMessagePolicy: "File",
      }),
    (value) => editEach(value, "ports", (port) => portDefaults(port, isHostNetwork)),
    (value) => editEach(value, "env", envDefaults),
    (value) => edit(value, "resources", canonicalResources),
    (value) => edit(value, "livenessProbe", probeDefaults),
    (value) => edit(value, "readinessProbe", probeDefaults),
    (value) => edit(value, "startupProbe", probeDefaults),
    (value) =>
      edit(value, "lifecycle", (lifecycle) =>
        inTurn(
          lifecycle,
          (hooks) => edit(hooks, "postStart", handlerDefaults),
          (hooks) => edit(hooks, "preStop", handlerDefaults),
        ),
      ),
  );
}

/** `Always` for the tag `latest`, or for no tag and no digest; else `IfNotPresent`. */
function pullPolicyOf(image: unknown): string {
  const [reference = "", digest] = String(image ?? "").split("@");
  const tag = /:([^/:]+)$/.exec(reference)?.[1];
  return tag === "latest" || (tag === undefined && digest === undefined) ? "Always" : "IfNotPresent";
}

function portDefaults(port: Fields, isHostNetwork: boolean): Fields {
  const withProtocol = fill(port, { protocol: "TCP" });
  return isHostNetwork ? fill(withProtocol, { hostPort: port["containerPort"] }) : withProtocol;
}

function envDefaults(variable: Fields): Fields {
  return edit(variable, "valueFrom", valueFromDefaults);
}

function valueFromDefaults(source: Fields): Fields {
  return inTurn(
    source,
    (value) => edit(value, "fieldRef", (ref) => fill(ref, { apiVersion: "v1" })),
    (value) => edit(value, "resourceFieldRef", (ref) => fill(ref, { divisor: "0" })),
  );
}

/** The server reads quantities as numbers and writes their canonical form: `0.5` comes back as `500m`. */
function canonicalResources(resources: Fields): Fields {
  const canonical = (list: Fields): Fields => {
    let result: Record<string, unknown> | undefined;
    for (const [name, quantity] of Object.entries(list)) {
      if (quantityProblem(quantity as Quantity) !== undefined) continue; // validation will say so
      const form = canonicalQuantity(quantity as Quantity);
      if (form === quantity) continue;
      result ??= { ...list };
      result[name] = form;
    }
    return result ?? list;
  };
  return inTurn(
    resources,
    (value) => edit(value, "limits", canonical),
    (value) => edit(value, "requests", canonical),
  );
}

const PROBE_DEFAULTS = { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 };

function probeDefaults(probe: Fields): Fields {
  return inTurn(
    probe,
    (value) => fill(withoutZeros(value, Object.keys(PROBE_DEFAULTS)), PROBE_DEFAULTS),
    (value) => edit(value, "grpc", (grpc) => fill(grpc, { service: "" })),
    handlerDefaults,
  );
}

/** A probe's zero stands for "not set". */
function withoutZeros(object: Fields, names: readonly string[]): Fields {
  const zeros = names.filter((name) => object[name] === 0);
  if (zeros.length === 0) return object;
  return Object.fromEntries(Object.entries(object).filter(([name]) => !zeros.includes(name)));
}

function handlerDefaults(handler: Fields): Fields {
  return edit(handler, "httpGet", (httpGet) => fill(httpGet, { path: "/", scheme: "HTTP" }));
}

const SOURCE_DEFAULTS: Readonly<Record<string, (source: Fields) => Fields>> = {
  secret: (source) => fill(source, { defaultMode: 0o644 }),
  configMap: (source) => fill(source, { defaultMode: 0o644 }),
  downwardAPI: (source) => editEach(fill(source, { defaultMode: 0o644 }), "items", valueFromDefaults),
  projected: (source) =>
    editEach(fill(source, { defaultMode: 0o644 }), "sources", (projection) =>
      inTurn(
        projection,
        (value) => edit(value, "serviceAccountToken", (token) => fill(token, { expirationSeconds: 3600 })),
        (value) => edit(value, "downwardAPI", (api) => editEach(api, "items", valueFromDefaults)),
      ),
    ),
  hostPath: (source) => fill(source, { type: "" }),
};

function volumeDefaults(volume: Fields): Fields {
  const sources = Object.keys(volume).filter((name) => name !== "name" && volume[name] !== null);
  if (sources.length === 0) return { ...volume, emptyDir: {} };
  return sources.reduce((value, name) => {
    const defaults = SOURCE_DEFAULTS[name];
    return defaults === undefined ? value : edit(value, name, defaults);
  }, volume);
}
