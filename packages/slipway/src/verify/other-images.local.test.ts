import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { systemClock } from "@slipway/base";
import { createRegistryClient } from "../images/registry/client.ts";
import { buildCasesImage } from "./engines/cases-image.ts";
import { engineOpener } from "./engines/open.ts";
import { imageFetcher } from "./other-images.ts";
import { runVerify } from "./run.ts";

test("an image that others made runs in the sandbox", async () => {
  const folder = await mkdtemp(join(tmpdir(), "slipway-other-images-"));
  try {
    const { layout } = await buildCasesImage(join(folder, "image"));
    const api = pathToFileURL(join(import.meta.dirname, "verify.ts")).href;
    const spec = join(folder, "spec.ts");
    await writeFile(
      spec,
      `import { describeImage } from "${api}";
describeImage(${JSON.stringify(layout)}, (t) => {
  t.process(1).args("sleep");
  t.command(["echo", "hello"]).stdout("hello");
});
`,
    );
    const report = await runVerify({
      files: [spec],
      images: [],
      fetchImage: imageFetcher({
        layout: join(folder, "kept"),
        clock: systemClock,
        registry: () => createRegistryClient(),
      }),
      engine: engineOpener("sandbox", { env: process.env, clock: systemClock, folder }),
      root: folder,
      clock: systemClock,
    });
    assert.equal(report.exitCode, 0, JSON.stringify(report.results));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
