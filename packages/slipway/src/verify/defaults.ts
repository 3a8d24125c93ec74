/** What `slipway ship` checks of every image, with or without spec files: that it can start and gives nothing away. */
import type { ImageTarget } from "./spec/targets.ts";

export function defaultImageChecks(t: ImageTarget): void {
  t.image.commandExists().noSecretInEnvOrHistory();
  t.files("**/{.git,.npmrc,.netrc,.pypirc,id_rsa,id_ed25519,id_ecdsa}").none();
}
