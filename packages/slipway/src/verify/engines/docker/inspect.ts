/** What an engine says of a container now. */
import type Docker from "dockerode";
import { statusOf } from "./status.ts";

const FAILED = 500;
const TRIES = 5;

/**
 * Podman (seen with 4.3) looks for the control group of a container that it takes for running, and fails when the process ends
 * in that moment: 500, "read /proc/N/cgroup: no such process". Asked again, it says that the container has ended.
 */
export async function inspect(
  container: Pick<Docker.Container, "inspect">,
): Promise<Docker.ContainerInspectInfo> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await container.inspect();
    } catch (error) {
      if (tries === TRIES || !hasJustEnded(error)) throw error;
    }
  }
}

function hasJustEnded(error: unknown): boolean {
  return statusOf(error) === FAILED && /\/proc\/\d+\/\S+: no such (process|file)/.test(String(error));
}
