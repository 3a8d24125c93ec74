import assert from "node:assert/strict";
import { test } from "node:test";
import type { AnyObject, Pod, Secret } from "@slipway/kube";
import { apiClient, recordOf } from "../testing.ts";
import { collectImages, neededImages } from "./needed-images.ts";
import { writeRecord } from "./records.ts";

const digest = (letter: string): string => `sha256:${letter.repeat(64)}`;
const reference = (letter: string): string => `127.0.0.1:5000/shop/web:${letter}@${digest(letter)}`;

const release = (number: number, letter: string, objects: readonly AnyObject[] = []) =>
  recordOf(number, {
    images: [{ name: "web", digest: digest(letter), reference: reference(letter) }],
    objects,
  });

test("every release of every cluster, service and namespace, and every pod, is asked for its images", async () => {
  const [tokyo, osaka] = [apiClient("tokyo"), apiClient("osaka")];
  const job = {
    apiVersion: "batch/v1",
    kind: "CronJob",
    metadata: { name: "tidy" },
    spec: {
      jobTemplate: { spec: { template: { spec: { containers: [{ name: "a", image: "redis:7" }] } } } },
    },
  } as unknown as AnyObject;
  await writeRecord(tokyo, release(1, "a"));
  await writeRecord(tokyo, release(2, "b", [job]));
  // A cluster that was away has a release that the others have forgotten.
  await writeRecord(osaka, release(3, "c"));
  await osaka.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: "other" } });
  await writeRecord(osaka, { ...release(1, "d"), service: "billing", namespace: "other" });
  const pod: Pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "by-hand", namespace: "other" },
    spec: { containers: [{ name: "main", image: "busybox:1" }] },
  };
  await osaka.create(pod);
  const needed = await neededImages([tokyo, osaka]);
  const images = [...needed].sort();
  assert.deepEqual(images, [...["a", "b", "c", "d"].map(reference), "busybox:1", "redis:7"].sort());
});

test("a record that cannot be read makes the answer unknown, not empty", async () => {
  const client = apiClient();
  await writeRecord(client, release(1, "a"));
  const secret = await client.get<Secret>({
    apiVersion: "v1",
    kind: "Secret",
    namespace: "default",
    name: "slipway.shop.1",
  });
  await client.replace({ ...secret, data: { release: Buffer.from("damaged").toString("base64") } });
  await assert.rejects(neededImages([client]), { code: "HISTORY_DAMAGED", exitCode: 3 });
});

test("images are found at any depth", () => {
  const found = new Set<string>();
  collectImages(
    [
      { spec: { initContainers: [{ image: "a" }], containers: [{ image: "b", env: [{ name: "image" }] }] } },
      { volumes: [{ image: { reference: "c" } }], image: "" },
      undefined,
      "image",
    ],
    found,
  );
  assert.deepEqual([...found], ["a", "b"]);
});
