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
  for (let left = 3; ; left -= 1) {
    const running = await startOnce(configFile, data, `127.0.0.1:${await freePort()}`);
    if (!("said" in running)) {
      const close = async (): Promise<void> => {
        await running.close();
        await rm(folder, { recursive: true, force: true });
      };
      return { url: running.url, close };
    }
    // It takes no port 0: somebody else on this machine may have had the one that was free a moment ago.
    if (left > 1 && /address already in use/.test(running.said)) continue;
    await rm(folder, { recursive: true, force: true });
    throw new Error(`Prometheus did not start: ${running.said}`);
  }
}

/** `said`: it did not become ready. */
async function startOnce(
  configFile: string,
  data: string,
  address: string,
): Promise<RunningPrometheus | { readonly said: string }> {
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
  const ended = once(child, "close");
  const isGone = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const close = async (): Promise<void> => {
    if (!isGone()) child.kill("SIGTERM");
    await ended;
  };
  const url = `http://${address}`;
  const isReady = async (): Promise<boolean> => {
    const answer = await fetch(`${url}/-/ready`, { headers: { connection: "close" } }).catch(() => undefined);
    return answer?.ok === true;
  };
  try {
    await until("Prometheus to be ready", async () => isGone() || (await isReady()), {
      ...{ timeoutMs: 60_000, describe: () => said },
    });
  } catch (error) {
    await close();
    throw error;
  }
  if (!isGone()) return { url, close };
  await close();
  return { said };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
