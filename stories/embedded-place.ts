/** The local world as the ground of stories: two clusters with sandboxed pods, and the edge in front of them. */
import { createHttpClient } from "@slipway/kube";
import { callWorld } from "../packages/slipway/src/world/control.ts";
import { findWorld, worldPaths } from "../packages/slipway/src/world/state.ts";
import { type Place, type PlaceCluster, placeOn } from "./place.ts";
import type { Project } from "./testing.ts";

export function embeddedPlace(): Promise<Place> {
  const looks = new Map<string, PlaceCluster>();
  return placeOn(async (project: Project) => ({
    title: "embedded clusters with sandboxed pods",
    environment: "local",
    registryPort: 0,
    clusters: { tokyo: "local()", osaka: "local()" },
    settings: {
      environment: "",
      top: 'edge: { port: 0, routes: { "/*": service("web", 80, { health: "/healthz" }) } },',
    },
    async enter() {
      const presence = await findWorld(worldPaths(project.folder));
      if (presence.kind !== "running") await project.ok("local", "up");
    },
    async look(name) {
      const known = looks.get(name);
      if (known !== undefined) return known;
      const found = (await project.world()).clusters.find((cluster) => cluster.name === name);
      if (found === undefined) throw new Error(`the world has no cluster ${name}`);
      const look: PlaceCluster = { name, pods: "sandboxed", client: createHttpClient(found) };
      looks.set(name, look);
      return look;
    },
    kubeconfig: async () => worldPaths(project.folder).kubeconfig,
    // As a lost region: the API server closes and the node agent is killed, with all its pods.
    lose: async (cluster) => callWorld(await project.world(), "lose", { cluster }),
    bringBack: async (cluster) => callWorld(await project.world(), "restore", { cluster }),
    remove: async () => {
      for (const { client } of looks.values()) await client.close();
    },
  }));
}
