/** What checkers see of a world, and what they say when something must never have happened. */
import type { Store, StoreEvent } from "@slipway/kube";
import type { Controller, Decision, Key, Snapshot } from "../../controllers/controller.ts";

/** Who is writing: a controller (with the picture it decided on), the kubelets, a fault, or the scenario. */
export type Actor =
  | { readonly kind: "controller"; readonly name: string; readonly snapshot: Snapshot }
  | { readonly kind: "kubelet" }
  | { readonly kind: "fault" }
  | { readonly kind: "user" };

export interface CheckedWorld {
  readonly store: Store;
  now(): number;
}

/**
 * A property of all runs. `onCommit` and `onDecision` are about safety and are asked all the time; `atRest` is about
 * liveness and is asked once, when faults have ended and the world had time. Each throws a Violation.
 */
export interface Checker {
  readonly name: string;
  onCommit?(event: StoreEvent, actor: Actor, world: CheckedWorld): void;
  onDecision?(controller: Controller, key: Key, snapshot: Snapshot, decision: Decision, now: number): void;
  atRest?(world: CheckedWorld): void;
}

export class Violation extends Error {
  override readonly name = "Violation";
  readonly checker: string;
  constructor(checker: string, what: string) {
    super(`${checker}: ${what}`);
    this.checker = checker;
  }
}
