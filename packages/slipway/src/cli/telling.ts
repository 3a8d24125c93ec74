/** Who is told, with the outbox of this project: `.slipway/outbox`. */
import { join } from "node:path";
import { isProcessAlive, thisProcess } from "@slipway/base";
import { createTelling, type Telling } from "../notify/notify.ts";
import { createFileStore } from "../notify/outbox/store.ts";
import type { CliContext } from "./command.ts";
import type { Project } from "./project.ts";

export function tellingOf(
  context: CliContext,
  project: Project,
  tell: { readonly write: (text: string) => void; readonly onWarning: (message: string) => void },
): Telling {
  return createTelling({
    slack: project.config.notify.slack,
    clock: context.clock,
    store: createFileStore({
      folder: outboxFolder(project),
      self: thisProcess(),
      isAlive: (sender) => isProcessAlive(sender),
      now: () => context.clock.now(),
    }),
    ...tell,
  });
}

export function outboxFolder({ paths }: Project): string {
  return join(paths.root, "outbox");
}
