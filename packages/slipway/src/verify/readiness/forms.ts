/**
 * When a service is ready, where a spec file says it (`ready.log(/ready to accept/, 2)`), as plain data. `watch.ts` looks,
 * `judge.ts` decides; a service of which nothing is said is ready by the rules of `compose/decide.ts`.
 */
import type { TextMatch } from "../text-match.ts";

/** `place`: the line of the spec file that says it. */
type Form<F extends string, More = unknown> = { readonly form: F; readonly place: string } & Readonly<More>;

/** Its log has it so many times since its start, in both streams together. */
export type LogForm = Form<"log", { match: TextMatch; times: number }>;
export type HttpForm = Form<
  "http",
  {
    path: string;
    /** Undefined: the only TCP port that the service exposes. */
    port: number | undefined;
    method: string;
    headers: Readonly<Record<string, string>>;
    /** Undefined: any below 400. */
    statuses: readonly number[] | undefined;
    body: TextMatch | undefined;
    isTls: boolean;
    isInsecure: boolean;
    timeoutMs: number;
  }
>;
/** They listen, on any address. Undefined: every TCP port that the service exposes. */
export type PortsForm = Form<"ports", { ports: readonly number[] | undefined }>;
/** Its healthcheck says so; in a cluster its readiness probe. */
export type HealthForm = Form<"health">;
/** A command in it exits with 0. */
export type CmdForm = Form<
  "cmd",
  {
    argv: readonly string[];
    environment: Readonly<Record<string, string>>;
    user: string | undefined;
    workingDir: string | undefined;
    timeoutMs: number;
  }
>;
/** It has ended with this code: the only form that an end does not contradict. */
export type ExitForm = Form<"exit", { code: number }>;
/** Each has been so once. `deadlineMs` counts from the service's start; undefined: as for all services. */
export type AllForm = Form<"all", { forms: readonly Readiness[]; deadlineMs: number | undefined }>;

export type Leaf = LogForm | HttpForm | PortsForm | HealthForm | CmdForm | ExitForm;
export type Readiness = Leaf | AllForm;

/** By the name of the service. */
export type ReadyWhen = Readonly<Record<string, Readiness>>;
