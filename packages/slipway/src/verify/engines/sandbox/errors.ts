/** What can go wrong with a container, as errors with the service as their place. */
import { SlipwayError, shellLine } from "@slipway/base";
import { ContainerStartError } from "@slipway/cluster/sandbox";
import type { ServiceSpec } from "../engine.ts";

export function notStarted(service: ServiceSpec, error: unknown): SlipwayError {
  const why = error instanceof Error ? error.message : String(error);
  return new SlipwayError({
    code: "CONTAINER_NOT_STARTED",
    where: `services/${service.name}`,
    message: error instanceof ContainerStartError ? `${error.reason}: ${why}` : why,
    cause: error,
    exitCode: 1,
  });
}

export function notRunning(service: ServiceSpec): SlipwayError {
  return new SlipwayError({
    code: "CONTAINER_NOT_RUNNING",
    where: `services/${service.name}`,
    message: "does not run, so nothing can be executed in it",
    exitCode: 1,
  });
}

export function execFailed(service: ServiceSpec, argv: readonly string[], cause: unknown): unknown {
  if (cause instanceof SlipwayError) return cause;
  return new SlipwayError({
    code: "ENGINE_EXEC_FAILED",
    where: `services/${service.name}`,
    message: `${shellLine(argv)}: ${cause instanceof Error ? cause.message : String(cause)}`,
    cause,
    exitCode: 3,
  });
}
