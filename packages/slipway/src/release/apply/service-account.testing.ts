/** Pod templates whose account changes, for the tests on the embedded API and on a real one. */
import type { AnyObject } from "@slipway/kube";

/** What a template says of its account: `{}`, or either name or both. */
export type Account = { readonly serviceAccountName?: string; readonly serviceAccount?: string };

const ofPods = (name: string, account: Account, more: object = {}): object => ({
  metadata: { labels: { app: name } },
  spec: { containers: [{ name: "web", image: "web:1" }], ...more, ...account },
});

const ofJob = (name: string, account: Account): object => ofPods(name, account, { restartPolicy: "Never" });

const metadata = (name: string, namespace: string): AnyObject["metadata"] => ({ name, namespace });
const selector = (name: string): object => ({ matchLabels: { app: name } });

/** Each kind whose template may change. */
export const templatesWith: Readonly<
  Record<
    "Deployment" | "StatefulSet" | "DaemonSet" | "CronJob",
    (name: string, namespace: string, account: Account) => AnyObject
  >
> = {
  Deployment: (name, namespace, account) => ({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: metadata(name, namespace),
    spec: { replicas: 1, selector: selector(name), template: ofPods(name, account) },
  }),
  StatefulSet: (name, namespace, account) => ({
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: metadata(name, namespace),
    spec: { replicas: 1, serviceName: name, selector: selector(name), template: ofPods(name, account) },
  }),
  DaemonSet: (name, namespace, account) => ({
    apiVersion: "apps/v1",
    kind: "DaemonSet",
    metadata: metadata(name, namespace),
    spec: { selector: selector(name), template: ofPods(name, account) },
  }),
  CronJob: (name, namespace, account) => ({
    apiVersion: "batch/v1beta1",
    kind: "CronJob",
    metadata: metadata(name, namespace),
    spec: { schedule: "0 0 1 1 *", jobTemplate: { spec: { template: ofJob(name, account) } } },
  }),
};

export const jobWith = (name: string, namespace: string, account: Account): AnyObject => ({
  apiVersion: "batch/v1",
  kind: "Job",
  metadata: metadata(name, namespace),
  spec: { template: ofJob(name, account) },
});

export interface AccountCase {
  readonly name: string;
  readonly before: Account;
  readonly after: Account;
  /** What both names are in the end. */
  readonly expected: string | undefined;
}

export const accountCases: readonly AccountCase[] = [
  { name: "dropped", before: { serviceAccountName: "a" }, after: {}, expected: undefined },
  { name: "dropped under its old name", before: { serviceAccount: "a" }, after: {}, expected: undefined },
  {
    name: "dropped with both names",
    before: { serviceAccountName: "a", serviceAccount: "a" },
    after: {},
    expected: undefined,
  },
  {
    name: "emptied",
    before: { serviceAccountName: "a" },
    after: { serviceAccountName: "" },
    expected: undefined,
  },
  {
    name: "changed",
    before: { serviceAccountName: "a" },
    after: { serviceAccountName: "b" },
    expected: "b",
  },
  {
    name: "changed under its old name",
    before: { serviceAccount: "a" },
    after: { serviceAccount: "b" },
    expected: "b",
  },
  {
    name: "changed with its old name",
    before: { serviceAccountName: "a" },
    after: { serviceAccount: "b" },
    expected: "b",
  },
  {
    name: "changed to its new name",
    before: { serviceAccount: "a" },
    after: { serviceAccountName: "b" },
    expected: "b",
  },
];
