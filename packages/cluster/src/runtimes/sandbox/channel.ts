/** What the agent says to the world, over IPC. */
import type { Socket } from "node:net";
import { ContainerStartError } from "../runtime.ts";
import type { FromAgent, WireError } from "./protocol.ts";

export function send(message: FromAgent, socket?: Socket): void {
  if (!process.connected) return;
  // keepOpen false: after sending, the descriptor belongs to the world alone.
  process.send?.(message, socket, { keepOpen: false }, () => {});
}

export function wireError(error: unknown): WireError {
  if (error instanceof ContainerStartError) return { message: error.message, reason: error.reason };
  const { code, stderr } = error as { code?: unknown; stderr?: unknown };
  const said = typeof stderr === "string" && stderr.trim() !== "" ? `: ${stderr.trim()}` : "";
  return {
    message: `${error instanceof Error ? error.message : String(error)}${said}`,
    ...(typeof code === "string" ? { code } : {}),
  };
}
