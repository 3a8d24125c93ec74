/**
 * What every KubeClient does, whatever stands behind it: the memory adapter, the HTTP adapter before our own API
 * server, and before a real Kubernetes. `open` gives a client to a cluster that may hold other things; the cases
 * work in a namespace of their own and need no controller to run (nor mind one).
 *
 * @example
 * describe("the memory client", () => clientCases(open));
 */
import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { systemRandom } from "@slipway/base";
import type { ConfigMap, Namespace } from "../resources/cluster.ts";
import type { AnyObject, KubeObject } from "../resources/meta.ts";
import type { Pod } from "../resources/pod.ts";
import type { Service } from "../resources/service.ts";
import type { Deployment } from "../resources/workload.ts";
import type { ClientWatchEvent, KubeClient, ObjectRef, WatchOptions } from "./client.ts";
import { StatusError } from "./status-error.ts";

export interface OpenClient {
  readonly client: KubeClient;
  /** Whether a short watch ends with a bookmark. Ours does (default); Kubernetes 1.20 was seen to send none in 8 s. */
  readonly hasClosingBookmark?: boolean;
  close(): Promise<void>;
}

export function clientCases(open: () => Promise<OpenClient>): void {
  let client: KubeClient;
  let close: () => Promise<void>;
  let hasClosingBookmark = true;
  const namespace = `cases-${systemRandom().name(8)}`;

  before(async () => {
    ({ client, close, hasClosingBookmark = true } = await open());
    await client.create<Namespace>({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
  });
  after(async () => {
    await client.delete({ apiVersion: "v1", kind: "Namespace", name: namespace }).catch(() => {});
    await close();
  });

  const configMap = (
    name: string,
    data: Record<string, string> = {},
    labels: Record<string, string> = {},
  ): ConfigMap => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace, labels },
    data,
  });
  const refTo = (kind: string, name: string, apiVersion = "v1"): ObjectRef => ({
    apiVersion,
    kind,
    name,
    namespace,
  });
  const CONFIG_MAPS = { apiVersion: "v1", kind: "ConfigMap" };
  const watchNames = (events: readonly ClientWatchEvent[]): string[] =>
    events.map(({ type, object }) => `${type} ${object.metadata.name}`);

  // --- what is there ---

  it("says which version the server has", async () => {
    const { major, minor, gitVersion } = await client.version();
    assert.match(`${major}.${minor}`, /^1\.\d+/);
    assert.match(gitVersion, /^v1\.\d+\.\d+/);
  });

  it("creates an object, and the server fills in what is its own", async () => {
    const created = await client.create(configMap("create", { a: "1" }));
    assert.match(created.metadata.uid ?? "", /^[0-9a-f-]{36}$/);
    assert.match(created.metadata.resourceVersion ?? "", /^\d+$/);
    assert.match(created.metadata.creationTimestamp ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    assert.deepEqual(created.data, { a: "1" });
    const read = await client.get<ConfigMap>(refTo("ConfigMap", "create"));
    assert.deepEqual(read, created);
  });

  it("draws a name from generateName", async () => {
    const object = {
      ...CONFIG_MAPS,
      metadata: { generateName: "drawn-", namespace },
    } as unknown as ConfigMap;
    const { metadata } = await client.create(object);
    assert.match(metadata.name, /^drawn-[a-z0-9]{5}$/);
    assert.equal(metadata.generateName, "drawn-");
  });

  it("answers errors as Kubernetes words them", async () => {
    await client.create(configMap("there"));
    const deployment = refTo("Deployment", "absent", "apps/v1");
    await refuses(client.get(deployment), 404, "NotFound", 'deployments.apps "absent" not found');
    await refuses(client.delete(deployment), 404, "NotFound", 'deployments.apps "absent" not found');
    await refuses(client.replace(configMap("absent")), 404, "NotFound", 'configmaps "absent" not found');
    await refuses(
      client.create(configMap("there")),
      409,
      "AlreadyExists",
      'configmaps "there" already exists',
    );
    const elsewhere = { ...configMap("x"), metadata: { name: "x", namespace: "no-such-namespace" } };
    await refuses(client.create(elsewhere), 404, "NotFound", 'namespaces "no-such-namespace" not found');
    await refuses(client.list({ apiVersion: "v1", kind: "NoSuchKind" }), 404, "NotFound");
    const error = await refuses(client.get(deployment), 404, "NotFound");
    assert.deepEqual(error.status.details, { name: "absent", group: "apps", kind: "deployments" });
    assert.equal(error.status.kind, "Status");
  });

  it("refuses what is not valid, with a cause for every field", async () => {
    const wrong = { ...deploymentOf("Wrong_Name", namespace), metadata: { name: "Wrong_Name", namespace } };
    const error = await refuses(client.create(wrong), 422, "Invalid");
    assert.match(
      error.message,
      /^Deployment\.apps "Wrong_Name" is invalid: metadata\.name: Invalid value: "Wrong_Name": /,
    );
    assert.ok(error.status.details?.causes?.some(({ field }) => field === "metadata.name"));
  });

  it("refuses unknown fields when asked to be strict, and not otherwise", async (t) => {
    const { minor } = await client.version();
    if (Number.parseInt(minor, 10) < 25) return t.skip(`Kubernetes 1.${minor} does not know fieldValidation`);
    const wrong = { ...configMap("strict"), dataa: {} } as ConfigMap;
    const error = await refuses(client.create(wrong, { fieldValidation: "Strict" }), 400, "BadRequest");
    assert.match(error.message, /strict decoding error: unknown field "dataa"$/);
    await client.create(wrong, { fieldValidation: "Ignore" });
  });

  it("sets Kubernetes' defaults", async () => {
    const { spec } = await client.create(deploymentOf("defaults", namespace));
    assert.equal(spec.replicas, 1);
    assert.deepEqual(spec.strategy, {
      type: "RollingUpdate",
      rollingUpdate: { maxSurge: "25%", maxUnavailable: "25%" },
    });
    assert.equal(spec.progressDeadlineSeconds, 600);
    assert.equal(spec.template.spec.restartPolicy, "Always");
    assert.equal(spec.template.spec.containers[0]?.imagePullPolicy, "IfNotPresent");
  });

  it("gives a Service an address, keeps it, and gives it to nobody else", async () => {
    const service = (name: string, clusterIP?: string): Service => ({
      apiVersion: "v1",
      kind: "Service",
      metadata: { name, namespace },
      spec: { ports: [{ port: 80 }], ...(clusterIP === undefined ? {} : { clusterIP }) },
    });
    const first = await client.create(service("first"));
    const second = await client.create(service("second"));
    assert.match(first.spec.clusterIP ?? "", /^\d+\.\d+\.\d+\.\d+$/);
    assert.notEqual(first.spec.clusterIP, second.spec.clusterIP);
    assert.deepEqual(first.spec.ports, [{ port: 80, protocol: "TCP", targetPort: 80 }]);
    const error = await refuses(client.create(service("third", first.spec.clusterIP)), 422, "Invalid");
    assert.match(error.message, /provided IP is already allocated/);
    const headless = await client.create(service("headless", "None"));
    assert.equal(headless.spec.clusterIP, "None");
    const kept = await client.patch<Service>(refTo("Service", "first"), "merge", {
      metadata: { labels: { a: "b" } },
    });
    assert.equal(kept.spec.clusterIP, first.spec.clusterIP);
  });

  // --- lists ---

  it("lists by namespace, labels and fields, in order of names", async () => {
    const group = `list-${namespace}`; // another namespace may hold what an earlier run has left
    await client.create(configMap("list-c", {}, { group, tier: "front" }));
    await client.create(configMap("list-a", {}, { group, tier: "back" }));
    await client.create(configMap("list-b", {}, { group }));
    const names = async (labelSelector: string, fieldSelector?: string): Promise<string[]> => {
      const options = { namespace, labelSelector, ...(fieldSelector === undefined ? {} : { fieldSelector }) };
      return (await client.list(CONFIG_MAPS, options)).items.map(({ metadata }) => metadata.name);
    };
    assert.deepEqual(await names(`group=${group}`), ["list-a", "list-b", "list-c"]);
    assert.deepEqual(await names(`group=${group},tier in (front,side)`), ["list-c"]);
    assert.deepEqual(await names(`group=${group},!tier`), ["list-b"]);
    assert.deepEqual(await names(`group=${group},tier!=front`), ["list-a", "list-b"]);
    assert.deepEqual(await names(`group=${group}`, "metadata.name=list-b"), ["list-b"]);
    const all = await client.list(CONFIG_MAPS, { labelSelector: `group=${group}` });
    assert.equal(all.items.length, 3);
    assert.equal(all.kind, "ConfigMapList");
    assert.deepEqual([all.items[0]?.kind, all.items[0]?.apiVersion], ["ConfigMap", "v1"]);
    await refuses(client.list(CONFIG_MAPS, { namespace, labelSelector: "a in" }), 400, "BadRequest");
    await refuses(
      client.list(CONFIG_MAPS, { namespace, fieldSelector: "spec.nodeName=x" }),
      400,
      "BadRequest",
    );
  });

  it("gives a list in pages of one snapshot, whatever is written in between", async () => {
    for (const name of ["page-1", "page-2", "page-3", "page-4", "page-5"]) {
      await client.create(configMap(name, {}, { group: "page" }));
    }
    const page = { namespace, labelSelector: "group=page", limit: 2 };
    const first = await client.list(CONFIG_MAPS, page);
    await client.delete(refTo("ConfigMap", "page-3"));
    await client.create(configMap("page-35", {}, { group: "page" }));
    const names = first.items.map(({ metadata }) => metadata.name);
    for (let token = first.metadata.continue; token; ) {
      const next = await client.list(CONFIG_MAPS, { ...page, continue: token });
      assert.equal(next.metadata.resourceVersion, first.metadata.resourceVersion);
      names.push(...next.items.map(({ metadata }) => metadata.name));
      token = next.metadata.continue;
    }
    assert.deepEqual(names, ["page-1", "page-2", "page-3", "page-4", "page-5"]);
    await refuses(client.list(CONFIG_MAPS, { ...page, continue: "nonsense" }), 400, "BadRequest");
  });

  // --- watches ---

  it("watches from a version, and tells of objects that begin and cease to match", async () => {
    const { metadata } = await client.list(CONFIG_MAPS, { namespace });
    const options = { namespace, labelSelector: "group=watch", resourceVersion: metadata.resourceVersion };
    await client.create(configMap("watched", { n: "1" }, { group: "watch" }));
    await client.create(configMap("unwatched"));
    const label = async (group: string): Promise<ConfigMap> =>
      client.patch<ConfigMap>(refTo("ConfigMap", "watched"), "merge", { metadata: { labels: { group } } });
    await client.patch(refTo("ConfigMap", "watched"), "merge", { data: { n: "2" } });
    const left = await label("other");
    await label("watch");
    await client.delete(refTo("ConfigMap", "watched"));
    const events = await collect(client, options, 5);
    assert.deepEqual(watchNames(events), [
      "ADDED watched",
      "MODIFIED watched",
      "DELETED watched",
      "ADDED watched",
      "DELETED watched",
    ]);
    const gone = events[2]?.object as ConfigMap;
    assert.deepEqual(gone.metadata.labels, { group: "watch" });
    assert.equal(gone.metadata.resourceVersion, left.metadata.resourceVersion);
    const versions = events.map(({ object }) => Number(object.metadata.resourceVersion));
    assert.deepEqual(
      versions,
      [...versions].sort((a, b) => a - b),
    );
  });

  it("tells a watch what happens while it runs, and ends with its signal", async () => {
    const { metadata } = await client.list(CONFIG_MAPS, { namespace });
    const stop = new AbortController();
    const seen: string[] = [];
    const watch = client.watch(CONFIG_MAPS, {
      namespace,
      fieldSelector: "metadata.name=live",
      resourceVersion: metadata.resourceVersion,
      signal: stop.signal,
    });
    const reading = (async () => {
      for await (const { type } of watch) {
        seen.push(type);
        if (type === "ADDED") await client.delete(refTo("ConfigMap", "live"));
        if (type === "DELETED") stop.abort();
      }
    })();
    await client.create(configMap("live"));
    await reading;
    assert.deepEqual(seen, ["ADDED", "DELETED"]);
  });

  it("sends a bookmark before a watch ends by its timeout, when asked to", async (t) => {
    if (!hasClosingBookmark) return t.skip("this server promises no bookmark at the end of a watch");
    const { metadata } = await client.list(CONFIG_MAPS, { namespace });
    const options = {
      namespace,
      fieldSelector: "metadata.name=nothing-of-this-name",
      resourceVersion: metadata.resourceVersion,
      allowBookmarks: true,
      timeoutSeconds: 1,
    };
    const [mark] = await collect(client, options, 1);
    assert.equal(mark?.type, "BOOKMARK");
    assert.ok(Number(mark.object.metadata.resourceVersion) >= Number(metadata.resourceVersion));
  });

  // --- updates ---

  it("replaces an object only from its newest version", async () => {
    const created = await client.create(configMap("replace", { n: "1" }));
    const second = await client.replace({ ...created, data: { n: "2" } });
    assert.notEqual(second.metadata.resourceVersion, created.metadata.resourceVersion);
    const stale = client.replace({ ...created, data: { n: "3" } });
    const message =
      'Operation cannot be fulfilled on configmaps "replace": the object has been modified; please apply your changes to the latest version and try again';
    await refuses(stale, 409, "Conflict", message);
    const unconditional = await client.replace(configMap("replace", { n: "4" }));
    assert.deepEqual(unconditional.data, { n: "4" });
    assert.equal(unconditional.metadata.uid, created.metadata.uid);
    const same = await client.replace(unconditional);
    assert.equal(same.metadata.resourceVersion, unconditional.metadata.resourceVersion);
  });

  it("keeps spec and status apart, and counts generations of the spec alone", async () => {
    const created = await client.create(deploymentOf("generations", namespace, { paused: true }));
    assert.equal(created.metadata.generation, 1);
    const ref = refTo("Deployment", "generations", "apps/v1");
    const changed = await client.patch<Deployment>(ref, "merge", {
      spec: { replicas: 0 },
      status: { replicas: 9 },
    });
    assert.equal(changed.metadata.generation, 2);
    assert.notEqual(changed.status?.replicas, 9);
    const status = { observedGeneration: 2, replicas: 7, collisionCount: 3 };
    const reported = await client.patch<Deployment>(
      ref,
      "merge",
      { spec: { replicas: 5 }, status },
      { subresource: "status" },
    );
    assert.equal(reported.spec.replicas, 0);
    assert.equal(reported.status?.collisionCount, 3);
    assert.equal(reported.metadata.generation, 2);
    const labelled = await client.patch<Deployment>(ref, "merge", { metadata: { labels: { a: "b" } } });
    assert.equal(labelled.metadata.generation, 2);
    await refuses(
      client.patch(refTo("ConfigMap", "generations"), "merge", {}, { subresource: "status" }),
      404,
      "NotFound",
    );
  });

  it("patches by all three kinds of patch", async () => {
    await client.create(deploymentOf("patched", namespace, { paused: true, replicas: 0 }));
    const ref = refTo("Deployment", "patched", "apps/v1");
    const strategic = await client.patch<Deployment>(ref, "strategic", {
      spec: { template: { spec: { containers: [{ name: "sidecar", image: "sidecar:1" }] } } },
    });
    const names = strategic.spec.template.spec.containers.map(({ name }) => name);
    assert.deepEqual(names.sort(), ["main", "sidecar"]);
    const merged = await client.patch<Deployment>(ref, "merge", {
      metadata: { annotations: { note: "x" } },
      spec: { revisionHistoryLimit: 3 },
    });
    assert.equal(merged.spec.revisionHistoryLimit, 3);
    const byJson = await client.patch<Deployment>(ref, "json", [
      { op: "test", path: "/metadata/annotations/note", value: "x" },
      { op: "replace", path: "/spec/revisionHistoryLimit", value: 4 },
    ]);
    assert.equal(byJson.spec.revisionHistoryLimit, 4);
    const failing = client.patch(ref, "json", [{ op: "test", path: "/spec/revisionHistoryLimit", value: 9 }]);
    await refuses(failing, 422, "Invalid");
    const stale = { metadata: { resourceVersion: "1" }, spec: { revisionHistoryLimit: 5 } };
    await refuses(client.patch(ref, "merge", stale), 409, "Conflict");
  });

  it("scales through the scale subresource", async () => {
    await client.create(deploymentOf("scaled", namespace, { paused: true, replicas: 0 }));
    const ref = refTo("Deployment", "scaled", "apps/v1");
    const body = { spec: { replicas: 1 } };
    const scale = await client.patch<AnyObject>(ref, "merge", body, { subresource: "scale" });
    assert.deepEqual(
      [scale.apiVersion, scale.kind, scale["spec"]],
      ["autoscaling/v1", "Scale", { replicas: 1 }],
    );
    assert.equal((scale["status"] as { selector?: string }).selector, "app=cases");
    await client.patch(ref, "merge", { spec: { replicas: 2 } }, { subresource: "scale" });
    assert.equal((await client.get<Deployment>(ref)).spec.replicas, 2);
  });

  it("stores nothing in a dry run, but answers as if it had", async () => {
    const options = { dryRun: true };
    const made = await client.create(configMap("dry", { a: "1" }), options);
    assert.deepEqual(made.data, { a: "1" });
    await refuses(client.get(refTo("ConfigMap", "dry")), 404, "NotFound");
    const real = await client.create(configMap("dry", { a: "1" }));
    const changed = await client.patch<ConfigMap>(
      refTo("ConfigMap", "dry"),
      "merge",
      { data: { a: "2" } },
      options,
    );
    assert.deepEqual(changed.data, { a: "2" });
    await client.delete(refTo("ConfigMap", "dry"), options);
    assert.deepEqual(await client.get(refTo("ConfigMap", "dry")), real);
  });

  // --- server-side apply ---

  it("applies: makes what is absent, merges what is there, takes away what is no longer applied", async () => {
    const manager = { fieldManager: "slipway" };
    const made = await client.apply(configMap("applied", { a: "1", b: "2" }), manager);
    assert.deepEqual(made.data, { a: "1", b: "2" });
    assert.deepEqual(
      made.metadata.managedFields?.map(({ manager: name, operation }) => `${name} ${operation}`),
      ["slipway Apply"],
    );
    await client.patch(
      refTo("ConfigMap", "applied"),
      "merge",
      { data: { c: "3" } },
      { fieldManager: "someone" },
    );
    const again = await client.apply(configMap("applied", { a: "1" }), manager);
    assert.deepEqual(again.data, { a: "1", c: "3" });
    const same = await client.apply(configMap("applied", { a: "1" }), manager);
    assert.equal(same.metadata.resourceVersion, again.metadata.resourceVersion);
  });

  it("refuses to apply over another manager's field, unless forced", async () => {
    await client.apply(configMap("contested", { a: "1" }), { fieldManager: "first" });
    const second = { fieldManager: "second" };
    const error = await refuses(client.apply(configMap("contested", { a: "2" }), second), 409, "Conflict");
    assert.equal(error.message, 'Apply failed with 1 conflict: conflict with "first": .data.a');
    assert.deepEqual(error.status.details?.causes, [
      { reason: "FieldManagerConflict", message: 'conflict with "first"', field: ".data.a" },
    ]);
    const forced = await client.apply(configMap("contested", { a: "2" }), { ...second, force: true });
    assert.deepEqual(forced.data, { a: "2" });
  });

  it("applies in a dry run without storing", async () => {
    const options = { fieldManager: "slipway", dryRun: true };
    await client.apply(configMap("apply-dry", { a: "1" }), options);
    await refuses(client.get(refTo("ConfigMap", "apply-dry")), 404, "NotFound");
  });

  // --- deletes ---

  it("holds an object that has a finalizer until the finalizer is taken away", async () => {
    const ref = refTo("ConfigMap", "held");
    const held = configMap("held");
    await client.create({ ...held, metadata: { ...held.metadata, finalizers: ["example.com/hold"] } });
    await client.delete(ref);
    const waiting = await client.get(ref);
    assert.match(waiting.metadata.deletionTimestamp ?? "", /^\d{4}-/);
    await client.patch(ref, "merge", { metadata: { finalizers: null } });
    await refuses(client.get(ref), 404, "NotFound");
  });

  it("marks for the garbage collector how dependents are to be treated", async () => {
    const ref = refTo("ConfigMap", "orphaning");
    await client.create(configMap("orphaning"));
    const stop = new AbortController();
    const { metadata } = await client.list(CONFIG_MAPS, { namespace });
    await client.delete(ref, { propagationPolicy: "Orphan" });
    const options = {
      namespace,
      resourceVersion: metadata.resourceVersion,
      fieldSelector: "metadata.name=orphaning",
    };
    const [marked] = await collect(client, { ...options, signal: stop.signal }, 1);
    assert.deepEqual(marked?.object.metadata.finalizers, ["orphan"]);
    await client.patch(ref, "merge", { metadata: { finalizers: null } }).catch(() => {});
  });

  it("deletes only the object that was meant", async () => {
    const created = await client.create(configMap("meant"));
    const ref = refTo("ConfigMap", "meant");
    const other = { preconditions: { uid: "00000000-0000-4000-8000-000000000000" } };
    const error = await refuses(client.delete(ref, other), 409, "Conflict");
    assert.match(
      error.message,
      /the UID in the precondition \(00000000-0000-4000-8000-000000000000\) does not match the UID in record/,
    );
    await client.delete(ref, { preconditions: { uid: created.metadata.uid as string } });
    await refuses(client.get(ref), 404, "NotFound");
  });

  it("lets a pod that runs finish in its grace period, and removes one without a node at once", async () => {
    const waiting = await client.create(podOf("unscheduled", namespace));
    assert.equal(waiting.status?.phase, "Pending");
    assert.equal(waiting.spec.serviceAccountName, "default");
    await client.delete(refTo("Pod", "unscheduled"));
    await refuses(client.get(refTo("Pod", "unscheduled")), 404, "NotFound");

    await client.create(podOf("running", namespace, { nodeName: "some-node" }));
    await client.delete(refTo("Pod", "running"), { gracePeriodSeconds: 20 });
    const going = await client.get<Pod>(refTo("Pod", "running"));
    assert.equal(going.metadata.deletionGracePeriodSeconds, 20);
    assert.ok(going.metadata.deletionTimestamp !== undefined);
    await client.delete(refTo("Pod", "running"), { gracePeriodSeconds: 0 });
    await refuses(client.get(refTo("Pod", "running")), 404, "NotFound");
  });

  it("refuses everything new in a namespace that is being deleted", async () => {
    const name = `${namespace}-going`;
    const ref = { apiVersion: "v1", kind: "Namespace", name };
    // The finalizer keeps the namespace controller, where one runs, from finishing before we have looked.
    await client.create<Namespace>({
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name, finalizers: ["example.com/hold"] },
    });
    await client.delete(ref);
    assert.equal((await client.get<Namespace>(ref)).status?.phase, "Terminating");
    const late = { ...configMap("late"), metadata: { name: "late", namespace: name } };
    const error = await refuses(client.create(late), 403, "Forbidden");
    assert.equal(
      error.message,
      `configmaps "late" is forbidden: unable to create new content in namespace ${name} because it is being terminated`,
    );
    await client.patch(ref, "merge", { metadata: { finalizers: null } });
  });

  it("tells which versions of a kind are served", async () => {
    assert.equal(await client.serves({ apiVersion: "apps/v1", kind: "Deployment" }), true);
    assert.equal(await client.serves({ apiVersion: "v1", kind: "ConfigMap" }), true);
    assert.equal(await client.serves({ apiVersion: "apps/v1", kind: "Deplyoment" }), false);
    assert.equal(await client.serves({ apiVersion: "apps/v99", kind: "Deployment" }), false);
    assert.equal(await client.serves({ apiVersion: "nobody.example.com/v1", kind: "Deployment" }), false);
  });
}

async function refuses(
  work: Promise<unknown>,
  code: number,
  reason: string,
  message?: string,
): Promise<StatusError> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    assert.deepEqual([error.httpCode, error.reason], [code, reason], error.message);
    if (message !== undefined) assert.equal(error.message, message);
    return error;
  }
  throw new Error(`expected ${code} ${reason}, but it was accepted`);
}

/** The first `count` events of a watch on ConfigMaps; all until it ends by itself when `count` is absent. */
async function collect(
  client: KubeClient,
  options: WatchOptions,
  count = Number.POSITIVE_INFINITY,
): Promise<ClientWatchEvent[]> {
  const events: ClientWatchEvent[] = [];
  for await (const event of client.watch<KubeObject>({ apiVersion: "v1", kind: "ConfigMap" }, options)) {
    events.push(event);
    if (events.length >= count) break;
  }
  return events;
}

function podOf(name: string, namespace: string, spec: Partial<Pod["spec"]> = {}): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace },
    spec: { containers: [{ name: "main", image: "main:1" }], ...spec },
  };
}

function deploymentOf(name: string, namespace: string, spec: Partial<Deployment["spec"]> = {}): Deployment {
  const labels = { app: "cases" };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name, namespace },
    spec: {
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: "main", image: "main:1" }] } },
      ...spec,
    },
  };
}
