/**
 * Turns a decision into API calls, in order; the one place that knows what a refused command means. `drive/` calls
 * it in real time and `world/` in virtual time, so that both treat conflicts and refusals alike.
 */
import { type Api, isReason, type KubeObject, StatusError } from "@slipway/kube";
import type { Command, Decision } from "./controller.ts";

export type Outcome =
  /** `resourceVersion` is that of the last write, undefined when nothing was written. */
  | { readonly kind: "applied"; readonly resourceVersion: number | undefined }
  /** Someone else wrote first: ask again with what is stored now. */
  | { readonly kind: "conflict"; readonly resourceVersion: number | undefined }
  /** Refused for good or for now: ask again with back-off. */
  | {
      readonly kind: "refused";
      readonly resourceVersion: number | undefined;
      readonly command: Command;
      readonly error: StatusError;
    };

export type EventCommand = Extract<Command, { do: "event" }>;

export interface Executor {
  readonly api: Api;
  readonly fieldManager?: string;
  recordEvent(event: EventCommand): void;
}

/**
 * Errors that are not a StatusError (bugs) pass through.
 *
 * @example
 * const outcome = execute(controller.decide(store, key, now), { api, recordEvent });
 * if (outcome.kind !== "applied") queue.retry(key);
 */
export function execute(decision: Decision, executor: Executor): Outcome {
  let resourceVersion: number | undefined;
  const wrote = (stored: KubeObject | undefined): void => {
    const written = Number(stored?.metadata.resourceVersion ?? executor.api.store.resourceVersion);
    resourceVersion = Math.max(resourceVersion ?? 0, written);
  };
  let refused: { readonly command: Command; readonly error: StatusError } | undefined;
  for (const command of decision.commands) {
    if (refused !== undefined && !isSameBatch(refused.command, command)) break;
    try {
      run(command, executor, wrote);
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      // AlreadyExists and NotFound also mean that the decision was made on a picture that is no longer true.
      if (
        ["Conflict", "AlreadyExists", "NotFound"].includes(error.reason) &&
        !isNamespaceGone(command, error)
      ) {
        // After a refusal nobody knows whether that write was stored: the stronger answer counts.
        return refused === undefined
          ? { kind: "conflict", resourceVersion }
          : { kind: "refused", resourceVersion, ...refused };
      }
      const refusal = { reason: error.reason, message: error.message };
      for (const followUp of decision.ifRefused?.(command, refusal) ?? [])
        runQuietly(followUp, executor, wrote);
      refused ??= { command, error };
    }
  }
  if (refused !== undefined) return { kind: "refused", resourceVersion, ...refused };
  return { kind: "applied", resourceVersion };
}

function isSameBatch(a: Command, b: Command): boolean {
  return a.do === "create" && b.do === "create" && a.batch !== undefined && a.batch === b.batch;
}

function run(command: Command, executor: Executor, wrote: (stored: KubeObject | undefined) => void): void {
  const { api } = executor;
  const options = executor.fieldManager === undefined ? {} : { fieldManager: executor.fieldManager };
  switch (command.do) {
    case "create": {
      const created = api.create(command.object, options);
      wrote(created);
      for (const next of command.followUp?.(created) ?? []) run(next, executor, wrote);
      return;
    }
    case "update":
      wrote(
        api.replace(command.object, {
          ...options,
          ...(command.subresource === undefined ? {} : { subresource: command.subresource }),
        }),
      );
      return;
    case "update-status":
      wrote(api.replace(command.object, { ...options, subresource: "status" }));
      return;
    case "delete":
      wrote(deleteIfThere(command, api));
      return;
    case "bind": {
      const { namespace, name, node } = command;
      const target = { apiVersion: "v1", kind: "Node", name: node };
      const binding = { apiVersion: "v1", kind: "Binding", metadata: { namespace, name }, target };
      api.create(binding, { ...options, subresource: "binding" });
      wrote(undefined);
      return;
    }
    case "event":
      executor.recordEvent(command);
      return;
  }
}

/** A pod that vanished meanwhile is what was wanted; one of the same name with another uid was never meant. */
function deleteIfThere(command: Extract<Command, { do: "delete" }>, api: Api): KubeObject | undefined {
  const { kind, namespace, name, uid, gracePeriodSeconds, propagationPolicy } = command;
  const stored = api.store.get(kind, namespace, name);
  if (stored === undefined || (uid !== undefined && stored.metadata.uid !== uid)) return undefined;
  return api.delete(
    { apiVersion: stored.apiVersion, kind, name, ...(namespace === "" ? {} : { namespace }) },
    {
      ...(uid === undefined ? {} : { preconditions: { uid } }),
      ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
      ...(propagationPolicy === undefined ? {} : { propagationPolicy }),
    },
  );
}

/** A create in a namespace that does not exist is NotFound about the namespace: a refusal, not a race. */
function isNamespaceGone(command: Command, error: StatusError): boolean {
  return command.do === "create" && isReason(error, "NotFound");
}

/** The report of a refusal may itself meet a conflict; the next decision reports again. */
function runQuietly(
  command: Command,
  executor: Executor,
  wrote: (stored: KubeObject | undefined) => void,
): void {
  try {
    run(command, executor, wrote);
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
  }
}
