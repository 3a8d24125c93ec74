/** Who is told, with the outbox of this project: `.slipway/outbox`. */
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { createTelling, type Telling } from "../notify/notify.ts";
import { createFileStore, type Sender } from "../notify/outbox/store.ts";
import { startTicksOf } from "../world/state.ts";
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
      self: { host: hostId(), pid: process.pid, started: startedAt(process.pid) ?? "" },
      isAlive: isSenderAlive,
      now: () => context.clock.now(),
    }),
    ...tell,
  });
}

export function outboxFolder({ paths }: Project): string {
  return join(paths.root, "outbox");
}

function isSenderAlive(sender: Sender): boolean | undefined {
  if (sender.host !== hostId()) return undefined;
  const started = startedAt(sender.pid);
  // Without /proc nothing more than the number can be told.
  return started === undefined ? isRunning(sender.pid) : started === sender.started;
}

function startedAt(pid: number): string | undefined {
  try {
    return startTicksOf(pid);
  } catch {
    return undefined;
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Containers on one machine share its name more often than they should; process numbers only mean something within one. */
function hostId(): string {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim().slice(0, 8);
    return `${hostname()}-${boot}`;
  } catch {
    return hostname();
  }
}
