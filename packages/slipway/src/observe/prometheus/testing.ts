/** For tests: the real Prometheus, on loopback, with a folder of its own, for as long as a test needs it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exec, until } from "@slipway/base";

export interface RunningPrometheus {
  readonly url: string;
  close(): Promise<void>;
}

/** `samples`: OpenMetrics text with timestamps, which it then has. `configFile`: what it scrapes and which rules it has. */
export async function startPrometheus(options: {
  readonly samples?: string;
  readonly configFile?: string;
}): Promise<RunningPrometheus> {
  const folder = await mkdtemp(join(tmpdir(), "slipway-prometheus-"));
  const data = join(folder, "data");
  if (options.samples !== undefined) {
    const file = join(folder, "samples.txt");
    await writeFile(file, options.samples);
    const made = await exec(["promtool", "tsdb", "create-blocks-from", "openmetrics", file, data]);
    if (made.exitCode !== 0) throw new Error(`${made.stdout}${made.stderr}`);
  }
  const configFile = options.configFile ?? join(folder, "empty.yml");
  await writeFile(join(folder, "empty.yml"), "");
  const address = `127.0.0.1:${await freePort()}`;
  const child = spawn(
    "prometheus",
    [
      `--config.file=${configFile}`,
      `--storage.tsdb.path=${data}`,
      "--storage.tsdb.retention.time=1y",
      `--web.listen-address=${address}`,
      "--log.level=warn",
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  const ended = once(child, "exit");
  const close = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
    await ended;
    await rm(folder, { recursive: true, force: true });
  };
  const url = `http://${address}`;
  try {
    await until(
      "Prometheus to be ready",
      async () => {
        if (child.exitCode !== null) throw new Error(`Prometheus ended with ${child.exitCode}: ${said}`);
        const answer = await fetch(`${url}/-/ready`, { headers: { connection: "close" } }).catch(
          () => undefined,
        );
        return answer?.ok === true;
      },
      { timeoutMs: 60_000, describe: () => said },
    );
  } catch (error) {
    await close();
    throw error;
  }
  return { url, close };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
