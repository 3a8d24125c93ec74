/** Stopping a project in order: who depends on others goes first. */
import type { Project } from "../engines/engine.ts";

export interface Stopped {
  readonly service: string;
  readonly tookMs: number;
  readonly wasKilled: boolean;
}

/** Each with its own grace, at most `graceMs`. Those that do not run are passed over. */
export async function bringDown(
  project: Project,
  options: { readonly graceMs?: number | undefined; readonly onStopped?: (stopped: Stopped) => void } = {},
): Promise<void> {
  const { services } = project.spec;
  const stops = new Map<string, Promise<void>>();
  const stop = (name: string): Promise<void> => {
    const known = stops.get(name);
    if (known !== undefined) return known;
    const dependents = services.filter(({ dependsOn }) => dependsOn.some(({ service }) => service === name));
    const stopping = Promise.all(dependents.map((one) => stop(one.name))).then(async () => {
      const container = project.container(name);
      const { status } = await container.state();
      const { stopGraceMs } = container.service;
      const result = await container.stop(Math.min(stopGraceMs, options.graceMs ?? stopGraceMs));
      if (status === "running") options.onStopped?.({ service: name, ...result });
    });
    stops.set(name, stopping);
    return stopping;
  };
  await Promise.all(services.map(({ name }) => stop(name)));
}
