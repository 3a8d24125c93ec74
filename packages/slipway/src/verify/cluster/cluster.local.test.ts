import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startCluster } from "@slipway/cluster";
import { ImageLayout } from "../../images/layout.ts";
import { createImageSource } from "../../images/source.ts";
import { buildCasesImage } from "../engines/cases-image.ts";
import { clusterCases } from "./cases.ts";

clusterCases("checks in an embedded cluster, through its API server alone", async () => {
  const folder = await mkdtemp(join(tmpdir(), "slipway-verify-cluster-"));
  const image = await buildCasesImage(folder);
  const layout = await ImageLayout.open(image.layout);
  const cluster = await startCluster({
    name: "verify",
    directory: join(folder, "cluster"),
    layersDirectory: join(folder, "layers"),
    runtime: "auto",
    images: createImageSource({ layout }),
  });
  return {
    client: cluster.client,
    image: `localhost/${image.name}@${image.digest}`,
    digest: image.digest,
    close: async () => {
      await cluster.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
});
