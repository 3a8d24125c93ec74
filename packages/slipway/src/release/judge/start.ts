/** The container has its image and does not start: its configuration is missing, or its command cannot be run. */
import type { ContainerStatus, Pod } from "@slipway/kube";
import { type Finding, of, oneLine } from "./finding.ts";

export function configError(pod: Pod, status: ContainerStatus): Finding {
  const message = oneLine(status.state?.waiting?.message ?? "no reason given");
  if (/runAsNonRoot|non-numeric user|cannot verify user/i.test(message)) {
    return of(pod, status.name, {
      code: "ContainerStartFailed",
      why: `the container may not be started: ${message}`,
      budgetMs: 0,
    });
  }
  // The kubelet's own cache of ConfigMaps is late, which passes.
  const isLate = /failed to sync .* cache|timed out|timeout/i.test(message);
  return of(
    pod,
    status.name,
    {
      code: "ConfigMissing",
      why: `the container cannot be configured: ${message}`,
      budgetMs: isLate ? 60_000 : 0,
    },
    isLate ? "config/late" : "config",
  );
}

const WRONG_COMMAND =
  /executable file not found|no such file or directory|permission denied|is a directory|not a directory|no command specified/i;
export const WRONG_ARCHITECTURE = /exec format error/i;

/** By its message: what is wrong with the image or the manifest will not pass, anything else counts as a crash. */
export function isWrongCommand(message: string): boolean {
  return WRONG_COMMAND.test(message) || WRONG_ARCHITECTURE.test(message);
}

/** `patienceMs` is for messages that do not say what is wrong with the release. */
export function startFailure(
  pod: Pod,
  status: ContainerStatus,
  message: string,
  patienceMs: number,
): Finding {
  const told = oneLine(message);
  if (WRONG_ARCHITECTURE.test(told)) {
    return of(pod, status.name, {
      code: "ImageArchitecture",
      why: `the program was not built for the node's architecture: ${told}`,
      budgetMs: 0,
    });
  }
  return of(pod, status.name, {
    code: "ContainerStartFailed",
    why: `the container cannot be started: ${told === "" ? "no reason given" : told}`,
    budgetMs: isWrongCommand(told) ? 0 : patienceMs,
  });
}
