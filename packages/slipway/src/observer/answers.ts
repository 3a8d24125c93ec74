/** What the command line asks an observer: `POST /NAME` with JSON, beside a local world and of a collector alike. */
import { SlipwayError } from "@slipway/base";
import * as z from "zod";
import type { QueryAnswer } from "../observe/warehouse/warehouse.ts";
import type { Observer, ObserverFigures } from "./observer.ts";

/** A query of somebody takes no longer. */
export const LONGEST_QUERY_MS = 120_000;

const questionSchema = z.object({
  sql: z.string().max(100_000),
  parameters: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])).optional(),
  maxRows: z.int().min(1).max(100_000).optional(),
  timeoutMs: z.int().min(1).max(LONGEST_QUERY_MS).optional(),
});

function questionOf(body: unknown): z.output<typeof questionSchema> {
  const parsed = questionSchema.safeParse(body);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new SlipwayError({
    code: "QUERY_INVALID",
    where: `query/${issue?.path.join("/")}`,
    message: issue?.message ?? "is no question",
  });
}

/** A type and not an interface, so that it is a record of handlers as well. */
export type Answers = {
  /** One SELECT, with the caps of the warehouse. */
  readonly query: (body: unknown, signal?: AbortSignal) => Promise<QueryAnswer>;
  readonly figures: () => Promise<ObserverFigures & { readonly warehouse: unknown }>;
};

export function answersOf({ warehouse, figures }: Pick<Observer, "warehouse" | "figures">): Answers {
  return {
    query(body, signal) {
      const { sql, parameters, maxRows, timeoutMs } = questionOf(body);
      return warehouse.query(sql, parameters, {
        ...(maxRows === undefined ? {} : { maxRows }),
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
        ...(signal === undefined ? {} : { signal }),
      });
    },
    figures: async () => ({ ...figures(), warehouse: warehouse.figures() }),
  };
}
