/** Parts of a ReleaseContext that whoever makes one needs: the command line, and the observer beside the local world. */
import { userInfo } from "node:os";
import type { RegistryClient } from "../images/registry/client.ts";
import type { ImageCheck } from "./model.ts";

export function imageCheck(registry: RegistryClient): ImageCheck {
  return {
    async exists(reference, signal) {
      try {
        return (await registry.head(reference, signal)) === undefined ? "missing" : "exists";
      } catch {
        return "unknown";
      }
    },
    async platforms(reference) {
      try {
        return (await registry.platforms(reference)).map(({ os, architecture, variant }) =>
          [os, architecture, ...(variant === undefined ? [] : [variant])].join("/"),
        );
      } catch {
        return undefined;
      }
    },
  };
}

export function whoAmI(env: NodeJS.ProcessEnv): string {
  if (env["SLIPWAY_WHO"] !== undefined) return env["SLIPWAY_WHO"];
  try {
    return userInfo().username;
  } catch {
    return env["USER"] ?? "unknown";
  }
}
