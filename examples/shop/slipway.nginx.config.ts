// The same shop with the real nginx in front, taken from this machine. Use it with --config slipway.nginx.config.ts.
import { defineConfig, local, service } from "slipway";

export default defineConfig({
  name: "shop",
  images: { web: { context: "nginx" }, backend1: { context: "backend1" }, backend2: { context: "backend2" } },
  manifests: ["k8s/"],
  environments: {
    local: { clusters: { tokyo: local() }, release: { bake: "1s" }, patches: ["k8s/local/", "nginx/k8s/"] },
  },
  edge: { port: 0, routes: { "/*": service("web", 80, { health: "/healthz" }) } },
});
