/**
 * Assertions are for bugs, never for operating errors: a failed assertion means that Slipway itself is wrong.
 * They stand at state transitions (store, controllers, world), where the simulation can trip over them.
 */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

export function assert(condition: unknown, whatMustHold: string): asserts condition {
  if (!condition) throw new AssertionError(`must hold: ${whatMustHold}`);
}

/** Ends a `switch` over a union; the compiler proves that no case is missing. */
export function assertNever(value: never): never {
  throw new AssertionError(`unexpected case: ${JSON.stringify(value)}`);
}
