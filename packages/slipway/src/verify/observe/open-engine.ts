/** An engine for one run: whatever it made is removed when the run is interrupted, wherever it stands then. */
import type { Engine, Project } from "../engines/engine.ts";
import { untilAborted } from "./interrupted.ts";

/** Rejects with the signal's reason as soon as it aborts, after everything was removed; closes the engine in any case. */
export async function withEngine<T>(
  engine: Engine,
  signal: AbortSignal | undefined,
  body: (engine: Engine) => Promise<T>,
): Promise<T> {
  const projects = new Set<Project>();
  const tracked: Engine = {
    name: engine.name,
    description: engine.description,
    sweep: () => engine.sweep(),
    close: () => engine.close(),
    async createProject(spec) {
      signal?.throwIfAborted();
      const project = await engine.createProject(spec);
      projects.add(project);
      if (signal?.aborted) await project.remove();
      signal?.throwIfAborted();
      return project;
    },
  };
  try {
    return await untilAborted(body(tracked), signal);
  } finally {
    if (signal?.aborted === true) await Promise.all([...projects].map((project) => project.remove()));
    await engine.close();
  }
}
