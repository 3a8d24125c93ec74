/** What a `slipway.config.ts` imports: the helpers that make values, and `defineConfig` for checking while typing. */
import type * as z from "zod";
import type { configSchema } from "./schema.ts";

/** The configuration as written, before defaults. */
export type ConfigInput = z.input<typeof configSchema>;

/**
 * Types the configuration while you write it; returns it as it is.
 *
 * @example
 * export default defineConfig({
 *   name: "shop",
 *   images: { web: { context: "web" } },
 *   manifests: ["k8s/"],
 *   environments: { local: { clusters: { tokyo: local() } } },
 * });
 */
export function defineConfig(config: ConfigInput): ConfigInput {
  return config;
}

/** A cluster of the local world, which `slipway local up` starts. */
export function local(): { readonly kind: "local" } {
  return { kind: "local" };
}

/**
 * A cluster by the name of its context in the kubeconfig. `uid` pins it to one cluster: the UID of its `kube-system`
 * Namespace, without which only earlier releases can tell that the context leads elsewhere now.
 *
 * @example
 * context("gke_shop_asia-northeast1", { uid: "7f3a9c12-5b1e-4c55-9d0a-2f6f4f6f0b11" })
 */
export function context(
  name: string,
  options: { readonly uid?: string } = {},
): { readonly kind: "context"; readonly context: string; readonly uid?: string } {
  return { kind: "context", context: name, ...options };
}

/** A route to a port of a Kubernetes Service, by number or name, in every cluster of the environment. */
export function service(
  name: string,
  port: number | string,
  options: { readonly namespace?: string; readonly health?: string } = {},
): {
  readonly kind: "service";
  readonly name: string;
  readonly port: number | string;
  readonly namespace?: string;
  readonly health?: string;
} {
  return { kind: "service", name, port, ...options };
}

/** A route to a bucket of static files; `from` is the folder they come from. The route's prefix is cut off. */
export function bucket(
  name: string,
  options: { readonly from: string },
): { readonly kind: "bucket"; readonly name: string; readonly from: string } {
  return { kind: "bucket", name, from: options.from };
}
