/** What `slipway verify` and `slipway ship` check of every image, with or without spec files: that it can start and gives nothing away. */
import type { ClusterTarget, ImageTarget } from "./spec/targets.ts";

export function defaultImageChecks(t: ImageTarget): void {
  t.image.commandExists().noSecretInEnvOrHistory();
  t.files("**/{.git,.npmrc,.netrc,.pypirc,id_rsa,id_ed25519,id_ecdsa}").none();
}

/** A program that fails at its start has failed by then. */
const STEADY_MS = 5_000;

/** What is checked of the manifests in an embedded cluster when no spec file says more: that they come up and stay up. */
export function defaultClusterChecks(t: ClusterTarget, workloads: readonly string[]): void {
  for (const workload of workloads) t.workload(workload).available().noRestarts(`${STEADY_MS}ms`);
}
