import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createStore, type EndpointSlice, type Pod, type Service, type Store } from "@slipway/kube";
import { aContainer, aRunningPod, aService, put } from "../../testing.ts";
import { endpointsController } from "../endpoints/endpoints.ts";
import { endpointSliceController } from "./endpointslice.ts";

const NOW = Date.UTC(2026, 0, 1);
const web = { metadata: { labels: { app: "web" } } };

/** Runs the slice controller and carries its commands out, naming what it creates. */
function settle(store: Store): void {
  let made = store.list("EndpointSlice").length;
  for (const command of endpointSliceController.decide(store, "default/web", NOW).commands) {
    if (command.do === "create") {
      made += 1;
      const metadata = { ...command.object.metadata, name: `web-${made}` };
      put(store, { ...command.object, metadata } as EndpointSlice);
    } else if (command.do === "update") store.commit({ op: "update", object: command.object });
    else if (command.do === "delete") store.commit({ ...command, op: "delete" });
  }
}

function slicesOf(service: Service, ...pods: readonly Pod[]): readonly EndpointSlice[] {
  const store = createStore();
  put(store, service, ...pods);
  settle(store);
  assert.deepEqual(
    endpointSliceController.decide(store, "default/web", NOW).commands,
    [],
    "settles in one step",
  );
  return store.list("EndpointSlice");
}

const endpointsOf = (service: Service, ...pods: readonly Pod[]) => {
  const store = createStore();
  put(store, service, ...pods);
  const [command] = endpointsController.decide(store, "default/web", NOW).commands;
  assert.ok(command?.do === "create");
  return (command.object as { subsets?: readonly unknown[] }).subsets ?? [];
};

const addresses = (slices: readonly EndpointSlice[]) =>
  slices.map(({ endpoints }) => endpoints.map((endpoint) => endpoint.addresses[0]));

describe("conditions of an endpoint", () => {
  const rows: readonly [
    string,
    Parameters<typeof aRunningPod>[2],
    boolean,
    (boolean | undefined)[] | undefined,
  ][] = [
    ["a ready pod", {}, false, [true, true, false]],
    ["an unready pod", { ready: false }, false, [false, false, false]],
    ["an unready pod that is published", { ready: false }, true, [true, false, false]],
    ["a terminating ready pod", { metadata: { deletionTimestamp: "t" } }, false, [false, true, true]],
    ["a pod without an address", { status: { podIP: "" } }, false, undefined],
    ["a pod that has ended", { status: { phase: "Failed" } }, false, undefined],
  ];
  for (const [name, pod, publishNotReadyAddresses, expected] of rows) {
    test(`${name} is ${expected === undefined ? "left out" : `ready/serving/terminating ${expected}`}`, () => {
      const metadata = { ...web.metadata, ...pod?.metadata };
      const member = aRunningPod("p", "10.244.0.2", { ...pod, metadata });
      const [slice] = slicesOf(aService("web", { publishNotReadyAddresses }), member);
      const conditions = slice?.endpoints[0]?.conditions;
      const seen = conditions && [conditions.ready, conditions.serving, conditions.terminating];
      assert.deepEqual(seen, expected);
    });
  }
});

describe("slices", () => {
  test("carry the Service's labels, its name, and it as their owner", () => {
    const [slice] = slicesOf(aService("web"), aRunningPod("p", "10.244.0.2", web));
    assert.equal(slice?.metadata.labels?.["kubernetes.io/service-name"], "web");
    assert.equal(slice?.metadata.ownerReferences?.[0]?.uid, "uid-web");
    assert.deepEqual(slice?.ports, [{ name: "", port: 8080, protocol: "TCP" }]);
    assert.deepEqual(slice?.endpoints[0]?.targetRef?.name, "p");
  });

  test("a Service without pods has one empty slice, one without a selector has none", () => {
    assert.deepEqual(addresses(slicesOf(aService("web"))), [[]]);
    const store = createStore();
    const { selector: _, ...spec } = aService("web").spec;
    put(store, { ...aService("web"), spec } as Service);
    assert.deepEqual(endpointSliceController.decide(store, "default/web", NOW).commands, []);
  });

  test("a named port may be another number in another pod, and then has its own slice", () => {
    const service = aService("web", { ports: [{ port: 80, targetPort: "http" }] });
    const listening = (name: string, ip: string, containerPort: number) =>
      aRunningPod(name, ip, {
        ...web,
        spec: { containers: [aContainer("web", { ports: [{ name: "http", containerPort }] })] },
      });
    const slices = slicesOf(service, listening("a", "10.244.0.2", 80), listening("b", "10.244.0.3", 81));
    assert.deepEqual(
      slices.map(({ ports }) => ports?.[0]?.port),
      [80, 81],
    );
    assert.deepEqual(addresses(slices), [["10.244.0.2"], ["10.244.0.3"]]);
  });

  test("hold at most 100 endpoints, and one that stays does not move when another goes", () => {
    const store = createStore();
    const pods = Array.from({ length: 150 }, (_, index) =>
      aRunningPod(`p${String(index).padStart(3, "0")}`, `10.244.1.${index}`, web),
    );
    put(store, aService("web"), ...pods);
    settle(store);
    assert.deepEqual(
      store.list("EndpointSlice").map(({ endpoints }) => endpoints.length),
      [100, 50],
    );
    const second = store.list("EndpointSlice")[1];
    store.commit({ op: "delete", kind: "Pod", namespace: "default", name: "p000" });
    settle(store);
    const after = store.list("EndpointSlice");
    assert.deepEqual(
      after.map(({ endpoints }) => endpoints.length),
      [99, 50],
    );
    assert.equal(after[1], second);
  });

  test("go with their Service", () => {
    const store = createStore();
    put(store, aService("web"), aRunningPod("p", "10.244.0.2", web));
    settle(store);
    store.commit({ op: "delete", kind: "Service", namespace: "default", name: "web" });
    settle(store);
    assert.deepEqual(store.list("EndpointSlice"), []);
  });
});

describe("Endpoints", () => {
  test("ready and not ready addresses stand apart, and a terminating pod is neither", () => {
    const subsets = endpointsOf(
      aService("web"),
      aRunningPod("a", "10.244.0.2", web),
      aRunningPod("b", "10.244.0.3", { ...web, ready: false }),
      aRunningPod("c", "10.244.0.4", { metadata: { ...web.metadata, deletionTimestamp: "t" } }),
    ) as readonly { addresses: { ip: string }[]; notReadyAddresses: { ip: string }[]; ports: unknown }[];
    assert.deepEqual(
      subsets[0]?.addresses.map(({ ip }) => ip),
      ["10.244.0.2"],
    );
    assert.deepEqual(
      subsets[0]?.notReadyAddresses.map(({ ip }) => ip),
      ["10.244.0.3"],
    );
    assert.deepEqual(subsets[0]?.ports, [{ port: 8080, protocol: "TCP" }]);
  });
});

test("a pod change concerns the Services that select it now or did before", () => {
  const store = createStore();
  put(store, aService("web"), aService("api"), aService("other"));
  const pods = endpointSliceController.watches.find(({ kind }) => kind === "Pod");
  const now = aRunningPod("p", "10.244.0.2", { metadata: { labels: { app: "api" } } });
  const before = aRunningPod("p", "10.244.0.2", web);
  assert.deepEqual(pods?.keys(now, before, store), ["default/api", "default/web"]);
});
