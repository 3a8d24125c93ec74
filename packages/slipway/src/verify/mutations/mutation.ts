/** An image that is broken in one way, and what several of them share. */
import type { Damage } from "./build.ts";

export interface Mutation {
  readonly name: string;
  readonly base: "web" | "bare" | "alpine" | "rpm";
  readonly damage: Damage;
  /** Names of checks that do not hold any more. */
  readonly untrue: readonly string[];
  /** Checks whose only proof is what was damaged: unknown is the right answer to them. */
  readonly unprovable?: readonly string[];
  /** About what runs, although no check of what runs is untrue by it. */
  readonly isAboutRunning?: true;
}

/** One of a base that its table names. */
export type OfBase = Omit<Mutation, "base">;

export const conf = (text: string): Damage => ({ put: [{ path: "app/server.conf", text }] });
export const start = (text: string): Damage => ({ put: [{ path: "app/start", text, mode: 0o755 }] });
export const env = (...more: readonly string[]): readonly string[] => [
  "PATH=/usr/local/bin:/usr/bin:/bin",
  "PORT=8080",
  ...more,
];
export const PINNED = {
  "org.opencontainers.image.base.name": "debian:12",
  "org.opencontainers.image.base.digest": `sha256:${"a".repeat(64)}`,
};

/** Of a server that does not run at all. Negative checks are then not untrue, but nothing could be seen. */
export const DEAD = [
  "listening 8080",
  "only 8080",
  "httpd running",
  "httpd as app",
  "one httpd",
  "pid 1 is start",
  "http page",
  "http lacks stack",
  "running",
  "stops",
];
export const UNSEEN = ["no telnet port", "no nc running", "reach closed 23", "log no error", "no restarts"];
export const NOT_SERVING = [
  "listening 8080",
  "only 8080",
  "httpd running",
  "httpd as app",
  "one httpd",
  "http page",
  "http lacks stack",
];
