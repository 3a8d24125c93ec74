/** What a container runs: the configuration of its image, and what the pod says over it. */
import type { ContainerSpec, ImageConfig, PodRuntime } from "../runtime.ts";
import type { StartContainer } from "./protocol.ts";

export type StopSignal = ReturnType<PodRuntime["stopSignal"]>;
const STOP_SIGNALS: readonly StopSignal[] = ["SIGTERM", "SIGQUIT", "SIGINT", "SIGHUP", "SIGKILL"];
const SIGNAL_NUMBERS: Readonly<Record<string, StopSignal>> = {
  "1": "SIGHUP",
  "2": "SIGINT",
  "3": "SIGQUIT",
  "9": "SIGKILL",
  "15": "SIGTERM",
};

export function programOf(
  config: ImageConfig,
  pod: Pick<ContainerSpec, "command" | "args" | "env" | "workingDir">,
): Pick<StartContainer, "argv" | "env" | "workingDir" | "imageUser"> {
  const command = pod.command ?? config.Entrypoint ?? [];
  // Kubernetes: a pod's command also switches the image's CMD off.
  const args = pod.args ?? (pod.command === undefined ? (config.Cmd ?? []) : []);
  return {
    argv: [...command, ...args],
    env: environmentOf(config.Env ?? [], pod.env),
    workingDir: pod.workingDir ?? (config.WorkingDir || "/"),
    imageUser: config.User ?? "",
  };
}

/** The image's variables first; the pod's replace them in place. */
function environmentOf(
  image: readonly string[],
  pod: readonly { readonly name: string; readonly value: string }[],
): readonly (readonly [string, string])[] {
  const variables = new Map<string, string>();
  for (const variable of image) {
    const equals = variable.indexOf("=");
    if (equals > 0) variables.set(variable.slice(0, equals), variable.slice(equals + 1));
  }
  for (const { name, value } of pod) variables.set(name, value);
  return [...variables];
}

/** `SIGQUIT`, `QUIT` or `3`, as images write it. */
export function stopSignalOf(text: string | undefined): StopSignal {
  if (text === undefined || text === "") return "SIGTERM";
  const name = text.startsWith("SIG") ? text : `SIG${text}`;
  return STOP_SIGNALS.find((signal) => signal === name) ?? SIGNAL_NUMBERS[text] ?? "SIGTERM";
}
