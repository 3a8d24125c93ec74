/** What a service runs: its image, and what the service says otherwise. Pure functions of the image's configuration. */
import { constants } from "node:os";
import type { Healthcheck, ImageConfigFile } from "../../images/oci.ts";
import type { HealthcheckSpec, ServiceSpec } from "./engine.ts";

type ImageConfig = ImageConfigFile["config"];

const DEFAULTS = { intervalMs: 30_000, timeoutMs: 30_000, startPeriodMs: 0, retries: 3 };
const SHELL: readonly string[] = ["/bin/sh", "-c"];

/** The configuration that is really run. As in Compose, an `entrypoint` of the service drops the image's CMD. */
export function configOf(image: ImageConfig, service: ServiceSpec): ImageConfig {
  const { Entrypoint, Cmd, User, WorkingDir, ...rest } = image;
  const cmd = service.command ?? (service.entrypoint === undefined ? Cmd : undefined);
  const entrypoint = service.entrypoint ?? Entrypoint;
  const user = service.user ?? User;
  const workingDir = service.workingDir ?? WorkingDir;
  return {
    ...rest,
    ...(entrypoint === undefined ? {} : { Entrypoint: entrypoint }),
    ...(cmd === undefined ? {} : { Cmd: cmd }),
    ...(user === undefined ? {} : { User: user }),
    ...(workingDir === undefined ? {} : { WorkingDir: workingDir }),
  };
}

export function healthcheckOf(image: ImageConfig, service: ServiceSpec): HealthcheckSpec | undefined {
  if (service.healthcheck === "none") return undefined;
  if (service.healthcheck !== undefined) return service.healthcheck;
  const check = image.Healthcheck;
  return check === undefined ? undefined : fromImage(check, image.Shell ?? SHELL);
}

/** Nanoseconds; 0 and absent are Docker's defaults. */
function fromImage(check: Healthcheck, shell: readonly string[]): HealthcheckSpec | undefined {
  const [kind, ...words] = check.Test;
  if (kind === undefined || kind === "NONE") return undefined;
  const ms = (nanoseconds: number | undefined): number | undefined =>
    nanoseconds === undefined || nanoseconds === 0 ? undefined : nanoseconds / 1e6;
  return {
    test: kind === "CMD-SHELL" ? [...shell, words.join(" ")] : words,
    intervalMs: ms(check.Interval) ?? DEFAULTS.intervalMs,
    timeoutMs: ms(check.Timeout) ?? DEFAULTS.timeoutMs,
    startPeriodMs: ms(check.StartPeriod) ?? DEFAULTS.startPeriodMs,
    retries: check.Retries || DEFAULTS.retries,
  };
}

/** `SIGQUIT`, `QUIT` or `3`, as images and Compose files write it; undefined for one that Linux has no name for. */
export function stopSignalOf(image: ImageConfig, service: ServiceSpec): NodeJS.Signals | undefined {
  const text = service.stopSignal ?? image.StopSignal ?? "";
  if (text === "") return "SIGTERM";
  const names = Object.entries(constants.signals) as [NodeJS.Signals, number][];
  const wanted = text.toUpperCase();
  return names.find(([name, number]) => [name, name.slice(3), String(number)].includes(wanted))?.[0];
}
