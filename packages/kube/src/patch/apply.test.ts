import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { StatusError } from "../client/status-error.ts";
import type { KubeObject } from "../resources/meta.ts";
import { serverSideApply } from "./apply.ts";
import { trackManagedFields } from "./managed-fields.ts";

type Loose = Record<string, unknown>;

const START = Date.UTC(2026, 0, 1);

function deployment(spec: Loose, containers: Loose[], metadata: Loose = {}): KubeObject {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web", namespace: "shop", ...metadata },
    spec: {
      selector: { matchLabels: { app: "web" } },
      template: { metadata: { labels: { app: "web" } }, spec: { containers } },
      ...spec,
    },
  } as KubeObject;
}

const c = (name: string, rest: Loose = {}): Loose => ({ name, image: "web:1", ...rest });

function apply(
  live: KubeObject | undefined,
  applied: KubeObject,
  manager = "slipway",
  force = false,
): KubeObject {
  return serverSideApply({ live, applied, manager, force, now: START + 5000 });
}

function created(object: KubeObject, manager = "kubectl-client-side-apply"): KubeObject {
  return trackManagedFields({ before: undefined, after: object, manager, now: START });
}

function changed(before: KubeObject, spec: Loose, manager: string, subresource?: string): KubeObject {
  const after = {
    ...before,
    spec: { ...(before as KubeObject & { spec: Loose }).spec, ...spec },
  } as KubeObject;
  return trackManagedFields({ before, after, manager, now: START + 1000, subresource });
}

function fieldsOf(object: KubeObject, manager: string): Loose | undefined {
  return object.metadata.managedFields?.find((entry) => entry.manager === manager)?.fieldsV1 as
    | Loose
    | undefined;
}

function specOf(object: KubeObject): Loose & { template: { spec: { containers: Loose[] } } } {
  return (object as KubeObject & { spec: ReturnType<typeof specOf> }).spec;
}

function conflictOf(run: () => unknown): StatusError {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof StatusError);
    assert.deepEqual([error.httpCode, error.reason], [409, "Conflict"]);
    return error;
  }
  return assert.fail("no conflict");
}

// These owners were read off a real server for the same objects.
test("a created object is owned by field, its containers by name, its spec by nobody", () => {
  const object = created(
    deployment(
      { replicas: 2 },
      [c("web", { ports: [{ containerPort: 80, protocol: "TCP" }], resources: {} })],
      {
        labels: { app: "web" },
      },
    ),
  );
  assert.deepEqual(object.metadata.managedFields, [
    {
      manager: "kubectl-client-side-apply",
      operation: "Update",
      apiVersion: "apps/v1",
      time: "2026-01-01T00:00:00Z",
      fieldsType: "FieldsV1",
      fieldsV1: {
        "f:metadata": { "f:labels": { ".": {}, "f:app": {} } },
        "f:spec": {
          "f:replicas": {},
          "f:selector": {},
          "f:template": {
            "f:metadata": { "f:labels": { ".": {}, "f:app": {} } },
            "f:spec": {
              "f:containers": {
                'k:{"name":"web"}': {
                  ".": {},
                  "f:image": {},
                  "f:name": {},
                  "f:ports": {
                    ".": {},
                    'k:{"containerPort":80,"protocol":"TCP"}': {
                      ".": {},
                      "f:containerPort": {},
                      "f:protocol": {},
                    },
                  },
                  "f:resources": {},
                },
              },
            },
          },
        },
      },
    },
  ]);
});

test("an applied object is owned by what it says, with the default of a list key", () => {
  const object = apply(undefined, deployment({}, [c("web", { ports: [{ containerPort: 80 }] })]));
  assert.deepEqual(fieldsOf(object, "slipway"), {
    "f:spec": {
      "f:selector": {},
      "f:template": {
        "f:metadata": { "f:labels": { "f:app": {} } },
        "f:spec": {
          "f:containers": {
            'k:{"name":"web"}': {
              ".": {},
              "f:image": {},
              "f:name": {},
              "f:ports": { 'k:{"containerPort":80,"protocol":"TCP"}': { ".": {}, "f:containerPort": {} } },
            },
          },
        },
      },
    },
  });
});

test("one conflict is told in one line, with a cause", () => {
  const live = created(deployment({ replicas: 2 }, [c("web")]));
  const error = conflictOf(() => apply(live, deployment({ replicas: 3 }, [c("web")])));
  assert.equal(
    error.message,
    'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using apps/v1: .spec.replicas',
  );
  assert.deepEqual(error.status.details?.causes, [
    {
      reason: "FieldManagerConflict",
      message: 'conflict with "kubectl-client-side-apply" using apps/v1',
      field: ".spec.replicas",
    },
  ]);
});

test("several conflicts are listed by manager", () => {
  const live = changed(created(deployment({ replicas: 2 }, [c("web")])), { replicas: 5 }, "scaler", "scale");
  const error = conflictOf(() => apply(live, deployment({ replicas: 3 }, [c("web", { image: "web:2" })])));
  assert.equal(
    error.message,
    [
      'Apply failed with 2 conflicts: conflicts with "kubectl-client-side-apply" using apps/v1:',
      '- .spec.template.spec.containers[name="web"].image',
      'conflicts with "scaler" with subresource "scale" using apps/v1:',
      "- .spec.replicas",
    ].join("\n"),
  );
});

test("force takes the field, and the other manager loses it", () => {
  const live = created(deployment({ replicas: 2 }, [c("web")]));
  const forced = apply(live, deployment({ replicas: 3 }, [c("web")]), "slipway", true);
  assert.equal(specOf(forced)["replicas"], 3);
  const theirs = fieldsOf(forced, "kubectl-client-side-apply")?.["f:spec"] as Loose;
  assert.equal("f:replicas" in theirs, false);
  assert.equal("f:selector" in theirs, true);
});

test("applying the same value shares the field without a conflict", () => {
  const live = apply(undefined, deployment({ replicas: 2 }, [c("web")]), "a");
  const shared = apply(live, deployment({ replicas: 2 }, [c("web")]), "b");
  const released = apply(shared, deployment({}, [c("web")]), "a");
  assert.equal(specOf(released)["replicas"], 2, "b still applies it");
  const gone = apply(released, deployment({}, [c("web")]), "b");
  assert.equal(specOf(gone)["replicas"], undefined);
});

test("a container that is no longer applied goes with all that was defaulted in it", () => {
  const first = apply(undefined, deployment({}, [c("web"), c("side")]));
  const spec = specOf(first);
  const defaulted = {
    ...first,
    spec: {
      ...spec,
      template: {
        ...spec.template,
        spec: { containers: spec.template.spec.containers.map((x) => ({ ...x, imagePullPolicy: "Always" })) },
      },
    },
  } as unknown as KubeObject;
  const second = apply(defaulted, deployment({}, [c("web")]));
  assert.deepEqual(specOf(second).template.spec.containers, [c("web", { imagePullPolicy: "Always" })]);
});

test("a handler that changes its kind leaves nothing of the old one", () => {
  const probe = (handler: Loose): Loose => c("web", { livenessProbe: handler });
  const first = apply(undefined, deployment({}, [probe({ httpGet: { path: "/", port: 80 } })]));
  const second = apply(first, deployment({}, [probe({ tcpSocket: { port: 80 } })]));
  assert.deepEqual(specOf(second).template.spec.containers[0]?.["livenessProbe"], {
    tcpSocket: { port: 80 },
  });
});

/** As a Deployment's pod spec, with what the server fills in. */
function withDefaults(object: KubeObject, podSpec: (spec: Loose) => Loose): KubeObject {
  const spec = specOf(object) as unknown as Loose & { template: Loose & { spec: Loose } };
  return {
    ...object,
    spec: { ...spec, template: { ...spec.template, spec: podSpec(spec.template.spec) } },
  } as unknown as KubeObject;
}

test("a default that nobody owns keeps the part that it is in, as in Kubernetes 1.20", () => {
  const probe = (handler: Loose): Loose => c("web", { livenessProbe: handler });
  const first = apply(undefined, deployment({}, [probe({ httpGet: { path: "/", port: 80 } })]));
  const live = withDefaults(first, () => ({
    containers: [probe({ httpGet: { path: "/", port: 80, scheme: "HTTP" } })],
  }));
  const second = apply(live, deployment({}, [probe({ tcpSocket: { port: 80 } })]));
  assert.deepEqual(specOf(second).template.spec.containers[0]?.["livenessProbe"], {
    httpGet: { scheme: "HTTP" },
    tcpSocket: { port: 80 },
  });
});

test("a null takes away a value and an empty part, and nothing of a part with something in it", () => {
  const pod = (volume: Loose, probe: Loose): KubeObject =>
    withDefaults(deployment({}, [c("web", { livenessProbe: probe, workingDir: "/" })]), (spec) => ({
      ...spec,
      volumes: [{ name: "v", ...volume }],
    }));
  const first = apply(undefined, pod({ emptyDir: {} }, { httpGet: { path: "/", port: 80 } }), "a");
  const wanted = pod(
    { configMap: { name: "c" }, emptyDir: null },
    { httpGet: null, exec: { command: ["x"] } },
  );
  const second = apply(
    first,
    withDefaults(wanted, (spec) => ({
      ...spec,
      containers: [{ ...(spec["containers"] as Loose[])[0], workingDir: null }],
    })),
    "b",
    true,
  );
  const spec = specOf(second).template.spec as unknown as Loose & { containers: Loose[] };
  assert.deepEqual(spec["volumes"], [{ name: "v", configMap: { name: "c" } }]);
  assert.deepEqual(spec.containers, [
    c("web", { livenessProbe: { httpGet: { path: "/", port: 80 }, exec: { command: ["x"] } } }),
  ]);
});

test("labels that are no longer applied go, identity stays", () => {
  const first = apply(undefined, deployment({}, [c("web")], { labels: { a: "1" } }));
  const second = apply(first, deployment({}, [c("web")]));
  assert.deepEqual([second.metadata.name, second.metadata.labels], ["web", undefined]);
});

test("list elements come in the applied order, and others keep their place in between", () => {
  const live = created(deployment({}, [c("a"), c("theirs"), c("b")]));
  const next = apply(live, deployment({}, [c("a"), c("b"), c("new")]));
  assert.deepEqual(
    specOf(next).template.spec.containers.map(({ name }) => name),
    ["a", "theirs", "b", "new"],
  );
});

test("an atomic list is replaced as a whole", () => {
  const live = created(deployment({}, [c("web", { args: ["x"] })]), "slipway-old");
  const next = apply(live, deployment({}, [c("web", { args: ["y", "z"] })]), "slipway", true);
  assert.deepEqual(specOf(next).template.spec.containers[0]?.["args"], ["y", "z"]);
});

test("applying the same again changes nothing, not even a time", () => {
  const first = apply(undefined, deployment({ replicas: 1 }, [c("web")]));
  const again = serverSideApply({
    live: first,
    applied: deployment({ replicas: 1 }, [c("web")]),
    manager: "slipway",
    now: START + 60_000,
  });
  assert.equal(again, first);
});

test("an object that was never tracked belongs to whoever was there before", () => {
  const error = conflictOf(() =>
    apply(deployment({ replicas: 2 }, [c("web")]), deployment({ replicas: 3 }, [c("web")])),
  );
  assert.match(error.message, /conflict with "before-first-apply" using apps\/v1: \.spec\.replicas$/);
});

test("a main apply leaves the status alone", () => {
  const applied = { ...deployment({}, [c("web")]), status: { replicas: 7 } } as unknown as KubeObject;
  const object = apply(undefined, applied) as KubeObject & { status?: unknown };
  assert.equal(object.status, undefined);
});

test("what cannot be applied is refused in Kubernetes' words and codes", () => {
  assert.throws(() => apply(undefined, created(deployment({}, [c("web")]))), {
    httpCode: 400,
    reason: "BadRequest",
    message: "metadata.managedFields must be nil",
  });
  assert.throws(() => apply(undefined, deployment({}, [c("web"), c("web")])), {
    httpCode: 500,
    message:
      /^failed to create typed patch object \(.*\/.*; apps\/v1, Kind=Deployment\): \.spec\.template\.spec\.containers: duplicate entries for key \[name="web"\]$/,
  });
});

test("an update takes what it changes from others and forgets what is gone", () => {
  const live = created(deployment({ replicas: 2, paused: true }, [c("web")]), "a");
  const scaled = changed(live, { replicas: 4, paused: undefined }, "b");
  assert.deepEqual(fieldsOf(scaled, "b"), { "f:spec": { "f:replicas": {} } });
  const left = fieldsOf(scaled, "a")?.["f:spec"] as Loose;
  assert.deepEqual(["f:replicas" in left, "f:paused" in left, "f:selector" in left], [false, false, true]);
});

test("an update that changes nothing keeps the times", () => {
  const live = created(deployment({ replicas: 2 }, [c("web")]), "a");
  const again = trackManagedFields({ before: live, after: { ...live }, manager: "a", now: START + 9000 });
  assert.deepEqual(again.metadata.managedFields, live.metadata.managedFields);
});

test("a client may move ownership, or wipe it with an empty list", () => {
  const live = created(deployment({ replicas: 2 }, [c("web")]), "a");
  const entries = live.metadata.managedFields?.map((entry) => ({ ...entry, manager: "b" }));
  const moved = trackManagedFields({
    before: live,
    after: { ...live, metadata: { ...live.metadata, managedFields: entries ?? [] } },
    manager: "mover",
    now: START,
  });
  assert.deepEqual(
    moved.metadata.managedFields?.map(({ manager }) => manager),
    ["b"],
  );
  const wiped = trackManagedFields({
    before: live,
    after: { ...live, metadata: { ...live.metadata, managedFields: [] } },
    manager: "mover",
    now: START,
  });
  assert.equal(wiped.metadata.managedFields, undefined);
});

test("managers beyond the tenth share one entry for ancient changes, and no field is lost", () => {
  let object = created(deployment({}, [c("web")]), "first");
  for (let index = 0; index < 12; index += 1) {
    const annotations = { ...object.metadata.annotations, [`key-${index}`]: "x" };
    object = trackManagedFields({
      before: object,
      after: { ...object, metadata: { ...object.metadata, annotations } },
      manager: `manager-${index}`,
      now: START + index * 1000,
    });
  }
  const managers = object.metadata.managedFields?.map(({ manager }) => manager) ?? [];
  assert.equal(managers.length, 10);
  assert.ok(managers.includes("ancient-changes") && managers.includes("manager-11"));
  const owned = JSON.stringify(object.metadata.managedFields);
  for (let index = 0; index < 12; index += 1) assert.ok(owned.includes(`f:key-${index}`));
});

const containers = fc.uniqueArray(
  fc.record(
    {
      name: fc.constantFrom("a", "b", "c"),
      image: fc.constantFrom("web:1", "web:2"),
      env: fc.uniqueArray(fc.record({ name: fc.constantFrom("X", "Y"), value: fc.constantFrom("1", "2") }), {
        selector: ({ name }) => name,
        minLength: 1,
      }),
      ports: fc.uniqueArray(fc.record({ containerPort: fc.constantFrom(80, 81) }), {
        selector: ({ containerPort }) => containerPort,
        minLength: 1,
      }),
      args: fc.array(fc.constantFrom("x", "y"), { maxLength: 2 }),
    },
    { requiredKeys: ["name"] },
  ),
  { selector: ({ name }) => name, minLength: 1 },
);
const manifest = fc
  .record({
    spec: fc.record({ replicas: fc.nat(3), paused: fc.boolean() }, { requiredKeys: [] }),
    containers,
    labels: fc.dictionary(fc.constantFrom("l", "m"), fc.constantFrom("1", "2"), { minKeys: 1 }),
  })
  // Through JSON, because the generator makes objects without a prototype, which no request ever brings.
  .map(
    ({ spec, containers: list, labels }) =>
      JSON.parse(JSON.stringify(deployment(spec, list, { labels }))) as KubeObject,
  );

const withoutOwners = (object: KubeObject): unknown => {
  const { managedFields: _entries, ...metadata } = object.metadata;
  return { ...object, metadata };
};

test("whatever a manager applied before, the object is what it applies now", () => {
  fc.assert(
    fc.property(manifest, manifest, (before, now) => {
      const next = apply(apply(undefined, before), now);
      assert.deepEqual(withoutOwners(next), now);
      assert.deepEqual(fieldsOf(next, "slipway"), fieldsOf(apply(undefined, now), "slipway"));
    }),
  );
});

test("what one manager drops stays when another owns it, and no owner is lost by sharing", () => {
  fc.assert(
    fc.property(manifest, (object) => {
      const shared = apply(apply(undefined, object, "a"), object, "b");
      assert.deepEqual(fieldsOf(shared, "a"), fieldsOf(shared, "b"));
      const bare = deployment({}, [{ name: "z", image: "web:1" }]);
      const dropped = apply(shared, bare, "a");
      const kept = apply(dropped, object, "b");
      assert.deepEqual(fieldsOf(kept, "b"), fieldsOf(shared, "b"));
      const names = specOf(kept).template.spec.containers.map(({ name }) => name);
      assert.deepEqual(
        names.filter((name) => name !== "z"),
        specOf(object).template.spec.containers.map(({ name }) => name),
      );
    }),
  );
});
