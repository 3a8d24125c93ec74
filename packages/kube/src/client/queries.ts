/** Options of requests as query parameters; what is not given is left out. */
import type { ListOptions, WriteOptions } from "./client.ts";

export function listQuery(options: ListOptions): URLSearchParams {
  return query({
    labelSelector: options.labelSelector,
    fieldSelector: options.fieldSelector,
    limit: options.limit,
    continue: options.continue,
    resourceVersion: options.resourceVersion,
    resourceVersionMatch: options.resourceVersionMatch,
  });
}

export function writeQuery(options: WriteOptions): URLSearchParams {
  return query({
    dryRun: options.dryRun === true ? "All" : undefined,
    fieldManager: options.fieldManager,
    fieldValidation: options.fieldValidation,
  });
}

export function query(
  parameters: Readonly<Record<string, string | number | boolean | undefined>>,
): URLSearchParams {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== "");
  return new URLSearchParams(given.map(([key, value]): [string, string] => [key, String(value)]));
}
