/** The program podman with a storage of its own below a folder; no service, no network, no container. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { exec } from "@slipway/base";
import { requireProgram } from "./real-image.ts";

export interface OwnPodman {
  /** What it prints; fails the test when it fails. */
  readonly run: (...args: string[]) => Promise<string>;
  /** Options of a pull or push: a registry without TLS, images without a signature. */
  readonly trusting: readonly string[];
}

export async function podmanIn(folder: string): Promise<OwnPodman> {
  await requireProgram("podman");
  const policy = join(folder, "policy.json");
  // Nobody told it whom to trust: this is a machine for tests.
  await writeFile(policy, '{"default":[{"type":"insecureAcceptAnything"}]}');
  const auth = join(folder, "auth.json");
  await writeFile(auth, "{}");
  const storage = [
    "--root",
    join(folder, "root"),
    "--runroot",
    join(folder, "run"),
    "--storage-driver",
    "vfs",
  ];
  return {
    trusting: ["--tls-verify=false", `--signature-policy=${policy}`],
    run: async (...args) => {
      const { CONTAINER_HOST: _remote, ...env } = process.env;
      const { exitCode, stdout, stderr } = await exec(
        ["podman", ...storage, "--events-backend", "none", ...args],
        { env: { ...env, REGISTRY_AUTH_FILE: auth } },
      );
      assert.equal(exitCode, 0, `podman ${args.join(" ")}: ${stderr}`);
      return stdout.trim();
    },
  };
}
