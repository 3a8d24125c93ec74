import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startRegistry } from "./registry.ts";
import { registryCases } from "./testing/cases.ts";

/** The embedded registry does everything that the suite asks. */
registryCases(async () => {
  const directory = await mkdtemp(join(tmpdir(), "slipway-cases-"));
  const registry = await startRegistry({ directory, port: 0 });
  return {
    url: registry.url,
    close: async () => {
      await registry.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
});
