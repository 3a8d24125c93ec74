import { bucket, context, defineConfig, local, service } from "slipway";

export default defineConfig({
  name: "shop",
  images: { web: { context: "web" }, backend1: { context: "backend1" }, backend2: { context: "backend2" } },
  manifests: ["k8s/"],
  environments: {
    local: { clusters: { tokyo: local(), osaka: local() }, release: { bake: "2s" }, patches: ["k8s/local/"] },
    production: {
      clusters: { tokyo: context("gke_shop_asia-northeast1"), osaka: context("gke_shop_asia-northeast2") },
      registry: "registry.example.com/shop",
    },
  },
  release: { waves: [["tokyo"], ["osaka"]], bake: "60s", onFailure: "rollback-all" },
  edge: {
    hosts: ["shop.example.com"],
    routes: {
      "/static/*": bucket("assets", { from: "public" }),
      "/*": service("web", 80, { health: "/healthz" }),
    },
  },
  verify: ["spec/"],
  notify: { slack: { channel: "#deploys" } },
});
