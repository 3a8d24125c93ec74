/**
 * How fast the store and the API are: commits with and without watchers, lists, the journal, and whole requests
 * through the API, trusted (the simulated world) and not (clients). Writes results/store.md.
 *
 *   node bench/store.bench.ts [rounds, 5]
 */
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { renderTable, seededRandom, writeAtomic } from "../packages/base/src/index.ts";
import {
  type Api,
  createApi,
  createStore,
  type KubeObject,
  openStore,
  type Pod,
  type Store,
} from "../packages/kube/src/index.ts";
import { MISSED_GOAL } from "./machine.ts";

const rounds = Number(process.argv[2] ?? 5);
const PODS = 500;

interface Figure {
  readonly what: string;
  /** Microseconds for one operation, one number per round. */
  readonly us: readonly number[];
}

const podOf = (name: string): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace: "default", labels: { app: "web" } },
  spec: {
    containers: [
      {
        name: "main",
        image: "web:1",
        ports: [{ containerPort: 80 }],
        readinessProbe: { httpGet: { port: 80 } },
      },
    ],
  },
});

function measure(what: string, times: number, work: (round: number) => void): Figure {
  const us = Array.from({ length: rounds }, (_, round) => {
    const started = performance.now();
    work(round);
    return ((performance.now() - started) * 1000) / times;
  });
  return { what, us };
}

function storeFigures(name: string, make: () => Store): readonly Figure[] {
  const store = make();
  const pods: KubeObject[] = [];
  for (let index = 0; index < PODS; index += 1) {
    const pod = podOf(`web-${index}`);
    const object = { ...pod, metadata: { ...pod.metadata, uid: `u-${index}` } };
    pods.push(store.commit({ op: "create", object }));
  }
  const updateAll = (): void => {
    for (const [index, object] of pods.entries()) {
      pods[index] = store.commit({ op: "update", object, expect: object.metadata.resourceVersion });
    }
  };
  const updates = measure(`${name}: update`, PODS * 20, () => {
    for (let turn = 0; turn < 20; turn += 1) updateAll();
  });
  let heard = 0;
  const watches = Array.from({ length: 10 }, () => store.watch({ kind: "Pod" }, () => (heard += 1)));
  const watched = measure(`${name}: update with 10 watchers`, PODS * 20, () => {
    for (let turn = 0; turn < 20; turn += 1) updateAll();
  });
  for (const watch of watches) watch.close();
  if (heard !== rounds * PODS * 20 * 10) throw new Error(`watchers heard ${heard} events`);
  const lists = measure(`${name}: update, then list ${PODS} pods`, PODS, () => {
    for (const [index, object] of pods.entries()) {
      pods[index] = store.commit({ op: "update", object });
      if (store.list("Pod", "default").length !== PODS) throw new Error("a pod is missing");
    }
  });
  return [updates, watched, lists];
}

function apiFigures(name: string, trusted: boolean): readonly Figure[] {
  const api: Api = createApi({ store: createStore(), now: () => 0, random: seededRandom(1), trusted });
  if (!trusted) api.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: "default" } });
  const ref = (round: number, index: number) => ({
    apiVersion: "v1",
    kind: "Pod",
    namespace: "default",
    name: `web-${round}-${index}`,
  });
  const each = (work: (index: number) => void): void => {
    for (let index = 0; index < PODS; index += 1) work(index);
  };
  const options = { fieldManager: "bench" };
  return [
    measure(`${name}: create a pod`, PODS, (round) => {
      each((index) => api.create(podOf(ref(round, index).name), options));
    }),
    measure(`${name}: update a pod's status`, PODS, (round) => {
      each((index) => {
        const pod = api.get(ref(round, index)) as Pod;
        const status = { ...pod.status, phase: "Running" as const, podIP: "10.244.0.9" };
        api.replace({ ...pod, status } as Pod, { ...options, subresource: "status" });
      });
    }),
    measure(`${name}: strategic merge patch`, PODS, (round) => {
      each((index) =>
        api.patch(ref(round, index), "strategic", { metadata: { labels: { a: "b" } } }, options),
      );
    }),
    measure(`${name}: delete a pod`, PODS, (round) => {
      each((index) => api.delete(ref(round, index), { gracePeriodSeconds: 0 }));
    }),
  ];
}

const directory = mkdtempSync(join(tmpdir(), "slipway-bench-store-"));
let figures: readonly Figure[];
try {
  figures = [
    ...storeFigures("memory", () => createStore()),
    ...storeFigures("journal", () => openStore(directory)),
    ...apiFigures("trusted API", true),
    ...apiFigures("API", false),
  ];
} finally {
  rmSync(directory, { recursive: true, force: true });
}

const median = (numbers: readonly number[]): number =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] as number;
const table = renderTable([
  ["operation", "median us", "fastest us", "per second"],
  ...figures.map(({ what, us }) => [
    what,
    median(us).toFixed(2),
    Math.min(...us).toFixed(2),
    Math.round(1e6 / median(us)).toLocaleString("en"),
  ]),
]);
const head = [
  `${rounds} rounds with ${PODS} pods (goal: a commit without watchers under 5 us)`,
  `Node ${process.version}, ${cpus().length} cores (${cpus()[0]?.model ?? "unknown"}), one process`,
];
const page = ["# Store and API", "", ...head.map((line) => `- ${line}`), "", "```", table, "```", ""];
console.log(page.join("\n"));
await writeAtomic(join(import.meta.dirname, "results", "store.md"), page.join("\n"));
const plain = figures[0] as Figure;
if (median(plain.us) >= 5) {
  console.error(`a commit takes ${median(plain.us).toFixed(2)} us`);
  process.exitCode = MISSED_GOAL;
}
