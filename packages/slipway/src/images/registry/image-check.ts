/** What a release asks of a registry about its images. A registry that does not answer is no reason to stop it. */
import type { RegistryClient } from "./client.ts";

type Asked = Pick<RegistryClient, "head" | "platforms">;

export function imageCheck(registry: Asked): {
  exists(reference: string, signal?: AbortSignal): Promise<"exists" | "missing" | "unknown">;
  platforms(reference: string): Promise<readonly string[] | undefined>;
} {
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
