import assert from "node:assert/strict";
import { test } from "node:test";
import { namesSeenBy, partedFrom } from "./names.ts";

const on = (name: string, networks: Readonly<Record<string, readonly string[]>>) => ({
  name,
  networks: Object.entries(networks).map(([network, aliases]) => ({ name: network, aliases })),
});
const web = on("web", { front: [], back: [] });
const proxy = on("proxy", { front: ["Edge"] });
const db = on("db", { back: ["store", "primary"] });
const replica = on("replica", { back: ["store"], other: ["hidden"] });
const all = [web, proxy, db, replica];
const seen = (viewer: typeof web): Record<string, readonly string[]> =>
  Object.fromEntries(namesSeenBy(viewer, all));

test("a service sees the names and aliases of its networks, and itself", () => {
  assert.deepEqual(seen(web), {
    web: ["web"],
    proxy: ["proxy"],
    edge: ["proxy"],
    db: ["db"],
    store: ["db", "replica"],
    primary: ["db"],
    replica: ["replica"],
  });
  assert.deepEqual(seen(proxy), { web: ["web"], proxy: ["proxy"], edge: ["proxy"] });
});

test("an alias of another network is not seen", () => {
  assert.equal("hidden" in seen(db), false);
  assert.deepEqual(seen(replica)["hidden"], ["replica"]);
});

test("services without a common network are kept apart", () => {
  assert.deepEqual(partedFrom(web, all), []);
  assert.deepEqual(partedFrom(proxy, all), ["db", "replica"]);
  assert.deepEqual(partedFrom(db, all), ["proxy"]);
});
