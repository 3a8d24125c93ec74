/** The shop's variant with the machine's own nginx as `web`, and its upstream configuration as it was written. */
import assert from "node:assert/strict";
import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { until } from "@slipway/base";
import { type Project, shopProject } from "./testing.ts";

const folders = [...(process.env["PATH"] ?? "").split(":"), "/usr/sbin", "/usr/local/sbin"];
const isInstalled = folders.some((folder) => {
  try {
    accessSync(join(folder, "nginx"), constants.X_OK);
    return true;
  } catch {
    return false;
  }
});

let project: Project | undefined;
after(() => project?.remove());

test("the real nginx passes /be1/ and /be2/ on to the backends by their Service names", {
  skip: isInstalled ? false : "nginx is not installed (apt-get install nginx-light)",
}, async () => {
  project = await shopProject();
  await project.edit("slipway.nginx.config.ts", 'bake: "1s"', 'bake: "0s"');
  // The fast patch takes the wait away altogether; nginx then needs no other one.
  await project.edit("slipway.nginx.config.ts", ', "nginx/k8s/"', "");
  assert.match(await project.read("nginx/nginx.conf"), /upstream backend1 \{ server backend1:80; \}/);
  const config = ["--config", "slipway.nginx.config.ts"];
  await project.ok("ship", ...config);

  assert.match((await project.get("/")).body, /"release":"nginx"/);
  for (const [path, backend] of [
    ["/be1/", "backend1"],
    ["/be2/", "backend2"],
  ] as const) {
    const { status, body } = await project.get(path);
    assert.equal(status, 200, body);
    assert.equal((JSON.parse(body) as { service: string }).service, backend);
  }
  const shop = project;
  await until("nginx's access log, written to /dev/stdout", async () =>
    /"GET \/be1\/ HTTP\/1\.[01]" 200 \d+ ".*" ".*" \d+\.\d{3} \d+\.\d{3}/.test(
      (await shop.ok("logs", "web", ...config)).stdout,
    ),
  );
});
