/** Numbers and int-or-percent values, which many kinds share. */
import type { IntOrString } from "../resources/meta.ts";
import type { FieldErrors } from "./field-error.ts";
import { percentProblem, portNameProblems, portNumberProblem } from "./names.ts";

export function validateNonNegative(value: number | undefined, field: string, errors: FieldErrors): void {
  if (value !== undefined && value !== null && value < 0) {
    errors.invalid(field, value, "must be greater than or equal to 0");
  }
}

/** A count or a percentage, like maxSurge. */
export function validateCountOrPercent(
  value: IntOrString | undefined,
  field: string,
  errors: FieldErrors,
): void {
  if (typeof value === "string") errors.check(field, value, percentProblem(value));
  else validateNonNegative(value, field, errors);
}

export function validateAtMostAll(value: IntOrString | undefined, field: string, errors: FieldErrors): void {
  if (typeof value !== "string" || percentProblem(value) !== undefined) return;
  if (Number.parseInt(value, 10) > 100) errors.invalid(field, value, "must not be greater than 100%");
}

/** Zero as a number, or as a percentage. */
export function isZero(value: IntOrString | undefined): boolean {
  return typeof value === "string" ? Number.parseInt(value, 10) === 0 : value === undefined || value === 0;
}

/** A port by number or by name. */
export function validatePortReference(
  value: IntOrString | undefined,
  field: string,
  errors: FieldErrors,
): void {
  if (typeof value !== "string") {
    errors.check(field, value ?? 0, portNumberProblem(value));
    return;
  }
  for (const problem of portNameProblems(value)) errors.invalid(field, value, problem);
}
