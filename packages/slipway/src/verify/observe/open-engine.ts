/** An engine for one run: whatever it made is removed when the run is interrupted, wherever it stands then. */
import type { Engine, Project } from "../engines/engine.ts";

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
  const work = body(tracked);
  try {
    return await (signal === undefined ? work : Promise.race([work, aborted(signal)]));
  } finally {
    if (signal?.aborted === true) {
      work.catch(() => {}); // it fails on what is removed below
      await Promise.all([...projects].map((project) => project.remove()));
    }
    await engine.close();
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
