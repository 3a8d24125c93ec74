/**
 * JSON patch, RFC 6902, over JSON pointers, RFC 6901. A patch that does not fit is refused whole, in the words of the
 * API server: 400 for something that is no patch, 422 for one that cannot be applied.
 */
import { type StatusError, statusError } from "../client/status-error.ts";
import { isEqual, isObject, ownValue, setKey } from "./value.ts";

export interface JsonPatchOperation {
  readonly op: "add" | "remove" | "replace" | "move" | "copy" | "test";
  /** A JSON pointer: `/spec/replicas`, with `~1` for `/` and `~0` for `~`. */
  readonly path: string;
  readonly from?: string;
  readonly value?: unknown;
}

const MAX_OPERATIONS = 10_000;

/** Throws a StatusError: BadRequest, Invalid, or RequestEntityTooLarge. */
export function applyJsonPatch<T = unknown>(target: unknown, operations: unknown): T {
  if (!Array.isArray(operations)) {
    throw statusError(
      400,
      "BadRequest",
      "json: cannot unmarshal object into Go value of type jsonpatch.Patch",
    );
  }
  if (operations.length > MAX_OPERATIONS) {
    const message = `The allowed maximum operations in a JSON patch is ${MAX_OPERATIONS}, got ${operations.length}`;
    throw statusError(413, "RequestEntityTooLarge", message);
  }
  return operations.map(checkOperation).reduce<unknown>(applyOperation, target) as T;
}

function checkOperation(operation: unknown): JsonPatchOperation {
  const kind = isObject(operation) ? operation["op"] : undefined;
  if (!isObject(operation) || typeof operation["path"] !== "string") {
    throw notApplicable(`${String(kind ?? "Unexpected")} operation does not apply: missing path`);
  }
  const needsFrom = kind === "move" || kind === "copy";
  if (needsFrom && typeof operation["from"] !== "string") {
    throw notApplicable(`${kind} operation does not apply: missing from`);
  }
  const needsValue = kind === "add" || kind === "replace" || kind === "test";
  if (needsValue && !Object.hasOwn(operation, "value")) {
    throw notApplicable(`${kind} operation does not apply: missing value`);
  }
  if (!needsFrom && !needsValue && kind !== "remove") {
    throw notApplicable(`Unexpected kind: ${String(kind ?? "unknown")}`);
  }
  return operation as unknown as JsonPatchOperation;
}

function notApplicable(message: string): StatusError {
  return statusError(422, "Invalid", "the server rejected our request due to an error in our request", {
    causes: [{ reason: "UnexpectedServerResponse", message }],
  });
}

function applyOperation(document: unknown, operation: JsonPatchOperation): unknown {
  const { op, path } = operation;
  const steps = parsePointer(path, op);
  switch (op) {
    case "add":
      return add(document, steps, operation.value, operation);
    case "remove":
      return remove(document, steps, operation);
    case "replace":
      read(document, steps, operation);
      return replace(document, steps, operation.value, operation);
    case "move": {
      const from = parsePointer(operation.from as string, op);
      if (steps.length > from.length && from.every((step, index) => step === steps[index])) {
        throw notApplicable(`move operation does not apply: ${path} is inside of ${operation.from}`);
      }
      const value = read(document, from, operation);
      return add(remove(document, from, operation), steps, value, operation);
    }
    case "copy": {
      const value = read(document, parsePointer(operation.from as string, op), operation);
      return add(document, steps, value, operation);
    }
    case "test": {
      const actual = readIfPresent(document, steps);
      // Kubernetes takes a missing member for null here.
      if (isEqual(actual ?? null, operation.value)) return document;
      throw notApplicable(`testing value ${path} failed: test failed`);
    }
  }
}

function parsePointer(pointer: string, op: string): readonly string[] {
  if (pointer === "") return [];
  if (!pointer.startsWith("/")) {
    throw notApplicable(`${op} operation does not apply: "${pointer}" is not a JSON pointer`);
  }
  return pointer
    .slice(1)
    .split("/")
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function missing(operation: JsonPatchOperation): StatusError {
  return notApplicable(
    `${operation.op} operation does not apply: doc is missing path: "${operation.path}": missing value`,
  );
}

function indexOf(step: string, length: number): number | undefined {
  if (!/^(0|[1-9][0-9]*)$/.test(step)) return undefined;
  const index = Number(step);
  return index < length ? index : undefined;
}

function readIfPresent(document: unknown, steps: readonly string[]): unknown {
  let value = document;
  for (const step of steps) {
    if (Array.isArray(value)) {
      const index = indexOf(step, value.length);
      value = index === undefined ? undefined : value[index];
    } else {
      value = isObject(value) ? ownValue(value, step) : undefined;
    }
  }
  return value;
}

function read(document: unknown, steps: readonly string[], operation: JsonPatchOperation): unknown {
  const value = readIfPresent(document, steps);
  if (value === undefined) throw missing(operation);
  return value;
}

/** Rebuilds the containers on the way to the last step and lets `change` build the innermost one. */
function within(
  container: unknown,
  steps: readonly string[],
  operation: JsonPatchOperation,
  change: (container: unknown, last: string) => unknown,
): unknown {
  const [step, ...rest] = steps as [string, ...string[]];
  if (rest.length === 0) return change(container, step);
  const inner = within(read(container, [step], operation), rest, operation, change);
  if (Array.isArray(container)) return container.with(Number(step), inner);
  const result: Record<string, unknown> = { ...(container as object) };
  setKey(result, step, inner);
  return result;
}

function add(
  document: unknown,
  steps: readonly string[],
  value: unknown,
  operation: JsonPatchOperation,
): unknown {
  if (steps.length === 0) return value;
  return within(document, steps, operation, (container, last) => {
    if (Array.isArray(container)) {
      const index = last === "-" ? container.length : indexOf(last, container.length + 1);
      if (index === undefined) throw missing(operation);
      return container.toSpliced(index, 0, value);
    }
    if (!isObject(container)) throw missing(operation);
    const result: Record<string, unknown> = { ...container };
    setKey(result, last, value);
    return result;
  });
}

function replace(
  document: unknown,
  steps: readonly string[],
  value: unknown,
  operation: JsonPatchOperation,
): unknown {
  if (steps.length === 0) return value;
  return within(document, steps, operation, (container, last) => {
    if (Array.isArray(container)) return container.with(Number(last), value);
    const result: Record<string, unknown> = { ...(container as object) };
    setKey(result, last, value);
    return result;
  });
}

function remove(document: unknown, steps: readonly string[], operation: JsonPatchOperation): unknown {
  if (steps.length === 0) return null;
  return within(document, steps, operation, (container, last) => {
    if (readIfPresent(container, [last]) === undefined) throw missing(operation);
    if (Array.isArray(container)) return container.toSpliced(Number(last), 1);
    const result: Record<string, unknown> = { ...(container as object) };
    delete result[last];
    return result;
  });
}
