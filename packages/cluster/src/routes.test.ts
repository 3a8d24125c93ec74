import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createStore, type EndpointSlice, type Endpoints, type Service } from "@slipway/kube";
import { serviceRoutes } from "./routes.ts";
import { aService, put } from "./testing.ts";

function slice(
  service: string,
  endpoints: EndpointSlice["endpoints"],
  ports: EndpointSlice["ports"],
): EndpointSlice {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      name: `${service}-${ports?.[0]?.port}`,
      namespace: "default",
      labels: { "kubernetes.io/service-name": service },
    },
    addressType: "IPv4",
    endpoints,
    ...(ports === undefined ? {} : { ports }),
  };
}

describe("routes", () => {
  test("lead from the Service kubernetes, and no other of that name, to where the API server is", () => {
    const store = createStore();
    const ports = [{ name: "https", port: 443 }];
    const own = aService("kubernetes", { clusterIP: "10.96.0.1", ports });
    put(store, own, { ...own, metadata: { ...own.metadata, namespace: "shop", uid: "other" } });
    const address = { host: "127.0.0.1", port: 6443 };
    const egress = (routes: ReturnType<typeof serviceRoutes>) => routes.map((route) => route.egress);
    assert.deepEqual(egress(serviceRoutes(store, address)), [address, undefined]);
    assert.deepEqual(egress(serviceRoutes(store)), [undefined, undefined]);
  });

  test("take ready endpoints from all slices, port by port", () => {
    const store = createStore();
    const ports = [
      { name: "http", port: 80 },
      { name: "dns", port: 53, protocol: "UDP" as const },
    ];
    put(
      store,
      aService("web", { clusterIP: "10.96.0.9", ports }),
      slice(
        "web",
        [
          { addresses: ["10.244.0.2"], conditions: { ready: true } },
          { addresses: ["10.244.0.3"], conditions: { ready: false } },
          // No word on readiness means ready.
          { addresses: ["10.244.0.4"] },
        ],
        [
          { name: "http", port: 8080 },
          { name: "dns", port: 5353 },
        ],
      ),
      slice(
        "web",
        [{ addresses: ["10.244.0.5"], conditions: { ready: true } }],
        [{ name: "http", port: 9090 }],
      ),
    );
    assert.deepEqual(serviceRoutes(store), [
      {
        namespace: "default",
        name: "web",
        clusterIP: "10.96.0.9",
        ports: [
          {
            name: "http",
            port: 80,
            protocol: "TCP",
            endpoints: [
              { ip: "10.244.0.2", port: 8080 },
              { ip: "10.244.0.4", port: 8080 },
              { ip: "10.244.0.5", port: 9090 },
            ],
          },
          {
            name: "dns",
            port: 53,
            protocol: "UDP",
            endpoints: [
              { ip: "10.244.0.2", port: 5353 },
              { ip: "10.244.0.4", port: 5353 },
            ],
          },
        ],
      },
    ]);
  });

  test("of headless Services carry the host names of their pods", () => {
    const store = createStore();
    const endpoint = { addresses: ["10.244.0.2"], hostname: "db-0", conditions: { ready: true } };
    put(store, aService("db", { clusterIP: "None" }), slice("db", [endpoint], [{ port: 5432 }]));
    assert.deepEqual(serviceRoutes(store)[0]?.hostnames, [{ ip: "10.244.0.2", hostname: "db-0" }]);
  });

  test("fall back to hand-made Endpoints, and leave ExternalName Services out", () => {
    const store = createStore();
    const endpoints: Endpoints = {
      apiVersion: "v1",
      kind: "Endpoints",
      metadata: { name: "old", namespace: "default" },
      subsets: [{ addresses: [{ ip: "10.0.0.1" }], ports: [{ port: 1234 }] }],
    };
    const external = {
      ...aService("ext"),
      spec: { type: "ExternalName", externalName: "example.com" },
    } as Service;
    put(store, aService("old", { selector: {} }), endpoints, external);
    const routes = serviceRoutes(store);
    assert.deepEqual(
      routes.map(({ name }) => name),
      ["old"],
    );
    assert.deepEqual(routes[0]?.ports[0]?.endpoints, [{ ip: "10.0.0.1", port: 1234 }]);
  });
});
