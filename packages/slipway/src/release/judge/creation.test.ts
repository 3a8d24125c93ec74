import assert from "node:assert/strict";
import { test } from "node:test";
import { statusError } from "@slipway/kube";
import { refusedApply, refusedPods } from "./creation.ts";

const pods: readonly (readonly [string, string, number])[] = [
  ['pods "web-x" is forbidden: exceeded quota: small, requested: pods=1', "QuotaExceeded", 10_000],
  ['pods "web-x" is forbidden: failed quota: small: must specify cpu', "QuotaExceeded", 10_000],
  [
    'pods "web-x" is forbidden: maximum memory usage per Container is 64Mi, but limit is 1Gi',
    "LimitRangeExceeded",
    5_000,
  ],
  ['pods "web-" is forbidden: no PriorityClass with name top was found', "PriorityClassMissing", 5_000],
  [
    'pods "web-" is forbidden: error looking up service account default/bot: serviceaccount "bot" not found',
    "ServiceAccountMissing",
    5_000,
  ],
  ['admission webhook "policy.test" denied the request: no latest tag', "WebhookRefused", 5_000],
  [
    'Internal error occurred: failed calling webhook "policy.test": Post "https://x": context deadline exceeded',
    "WebhookUnavailable",
    120_000,
  ],
  ["etcdserver: request timed out", "ClusterOverloaded", 120_000],
  [
    'pods "web-" is forbidden: unable to validate against any pod security policy: []',
    "CreationRefused",
    10_000,
  ],
];

for (const [message, code, budgetMs] of pods) {
  test(`pods are refused with ${JSON.stringify(message)}: ${code}`, () => {
    const finding = refusedPods(message, { leavingMs: 0 });
    assert.deepEqual([finding.code, finding.budgetMs], [code, budgetMs]);
  });
}

test("a quota may be given back by pods that are leaving", () => {
  assert.equal(refusedPods("exceeded quota: small", { leavingMs: 75_000 }).budgetMs, 85_000);
});

test("a quota that has taken a new pod gets room from each old one, and the controller asks again late", () => {
  const between = (leavingMs: number) =>
    refusedPods("exceeded quota: small", { leavingMs, isBetweenPods: true });
  // The budget does not begin anew when the last pod that was leaving is gone.
  assert.deepEqual(between(20_000), between(0));
  assert.equal(between(0).budgetMs, 120_000);
  assert.equal(
    refusedPods("maximum cpu usage per Container is 1", { leavingMs: 0, isBetweenPods: true }).budgetMs,
    5_000,
  );
});

const applies: readonly (readonly [Parameters<typeof statusError>, string])[] = [
  [
    [422, "Invalid", 'Deployment.apps "web" is invalid: spec.selector: Invalid value: …: field is immutable'],
    "FieldImmutable",
  ],
  [[422, "Invalid", 'Deployment.apps "web" is invalid: spec.replicas: must be positive'], "ApplyRefused"],
  [[401, "Unauthorized", "Unauthorized"], "AccessDenied"],
  [
    [
      403,
      "Forbidden",
      'deployments.apps "web" is forbidden: User "system:serviceaccount:ci:deploy" cannot patch resource "deployments" in API group "apps" in the namespace "shop"',
    ],
    "AccessDenied",
  ],
  [
    [
      403,
      "Forbidden",
      'roles.rbac.authorization.k8s.io "web" is forbidden: user "ci" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[""], Resources:["nodes"], Verbs:["get"]}',
    ],
    "AccessDenied",
  ],
  [
    [
      403,
      "Forbidden",
      'pods "web" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false',
    ],
    "ApplyRefused",
  ],
  [[403, "Forbidden", 'admission webhook "policy.test" denied the request: no'], "WebhookRefused"],
  [
    [500, "InternalError", 'Internal error occurred: failed calling webhook "policy.test": EOF'],
    "WebhookUnavailable",
  ],
  [[429, "TooManyRequests", "too many requests"], "ClusterOverloaded"],
  [[503, "ServiceUnavailable", "the server is currently unable to handle the request"], "ClusterOverloaded"],
  [
    [
      403,
      "Forbidden",
      "unable to create new content in namespace shop because it is being terminated",
      { causes: [{ reason: "NamespaceTerminating" }] },
    ],
    "ObjectTerminating",
  ],
];

for (const [answer, code] of applies) {
  test(`an apply is answered with ${answer[0]} ${JSON.stringify(answer[2])}: ${code}`, () => {
    assert.equal(refusedApply(statusError(...answer)), code);
  });
}
