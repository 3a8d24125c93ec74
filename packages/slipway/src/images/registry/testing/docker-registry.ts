/** Debian's `docker-registry` (CNCF Distribution 2.8) on a free port of this machine, with a folder of its own. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import type { RegistryUnderTest } from "./cases.ts";
import { requireProgram } from "./real-image.ts";

export interface DockerRegistry extends RegistryUnderTest {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly port: number;
  readonly pid: number;
}

/** Rejects, with the name of the package, where it is not installed: what is not tested must not look tested. */
export async function startDockerRegistry(folder: string): Promise<DockerRegistry> {
  await requireProgram("docker-registry");
  const storage = join(folder, "storage");
  await mkdir(storage, { recursive: true });
  const config = {
    version: "0.1",
    log: { level: "info", accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: storage }, delete: { enabled: true } },
    http: { addr: "127.0.0.1:0", secret: "only for this test" },
  };
  await writeFile(join(folder, "config.yml"), stringify(config));
  const child = spawn("docker-registry", ["serve", join(folder, "config.yml")], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { PATH: process.env["PATH"], OTEL_TRACES_EXPORTER: "none" },
  });
  let log = "";
  const host = await new Promise<string>((resolve, reject) => {
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      log += text;
      const found = /listening on (127\.0\.0\.1:\d+)/.exec(log)?.[1];
      if (found !== undefined) resolve(found);
    });
    child.once("exit", (code) => reject(new Error(`docker-registry ended with ${code}: ${log}`)));
  });
  return {
    host,
    pid: child.pid as number,
    port: Number(host.split(":")[1]),
    url: `http://${host}`,
    close: async () => {
      if (child.exitCode !== null) return;
      child.kill("SIGKILL");
      await once(child, "exit");
    },
  };
}
