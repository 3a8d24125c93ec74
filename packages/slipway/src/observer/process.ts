/** What the world is told to start beside it: this folder's program, with the project that it watches. */
import { fileURLToPath } from "node:url";
import type { Config } from "../config/types.ts";
import type { CompanionSpec } from "../world/companion.ts";
import type { WorldState } from "../world/state.ts";

/** What the observer reads from its standard input. */
export interface ObserverInput {
  /** As the command line had read it; evaluating it again could give another. */
  readonly config: Config;
  readonly world: WorldState;
}

export function observerSpec(config: Config): CompanionSpec {
  const entry = import.meta.url.endsWith(".ts") ? "main.ts" : "main.js";
  return { entry: fileURLToPath(new URL(entry, import.meta.url)), input: { config } };
}
