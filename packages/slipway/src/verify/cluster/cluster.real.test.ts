/** SLIPWAY_REAL_KUBERNETES names the program that starts a cluster with a node; the image goes in as an archive. */
import assert from "node:assert/strict";
import { createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { test } from "node:test";
import { exec } from "@slipway/base";
import { openRealCluster } from "../../../../../scripts/corpus/surroundings.ts";
import { dockerArchiveStream } from "../../images/docker-archive.ts";
import { ImageLayout } from "../../images/layout.ts";
import type { ImageManifest } from "../../images/oci.ts";
import { buildCasesImage } from "../engines/cases-image.ts";
import { clusterCases } from "./cases.ts";

const program = process.env["SLIPWAY_REAL_KUBERNETES"];

if (program === undefined) {
  test("checks in a real cluster", { skip: "SLIPWAY_REAL_KUBERNETES is not set" }, () => {});
} else {
  clusterCases("checks in a real cluster", async () => {
    const folder = await mkdtemp(join(tmpdir(), "slipway-verify-real-"));
    const built = await buildCasesImage(folder);
    const layout = await ImageLayout.open(built.layout);
    const manifest = await layout.readJson<ImageManifest>(built.digest);
    const image = "localhost/verify/cases:1";
    const archive = join(folder, "image.tar");
    await pipeline(dockerArchiveStream(layout, manifest, image), createWriteStream(archive));
    const cluster = await openRealCluster(process.env);
    const loaded = await exec([program, "load", "a", archive]);
    assert.equal(loaded.exitCode, 0, loaded.stderr);
    return {
      client: cluster.client,
      image,
      // containerd knows an imported image by the digest of its configuration.
      digest: manifest.config.digest,
      close: async () => {
        await cluster.close();
        await rm(folder, { recursive: true, force: true });
      },
    };
  });
}
