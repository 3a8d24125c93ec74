/** What the command line asks an observer: `POST /NAME` with JSON, beside a local world and of a collector alike. */
import * as z from "zod";
import type { QueryAnswer } from "../observe/warehouse/warehouse.ts";
import type { Observer, ObserverFigures } from "./observer.ts";

const questionSchema = z.object({
  sql: z.string().max(100_000),
  parameters: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])).optional(),
  maxRows: z.int().min(1).max(100_000).optional(),
  timeoutMs: z.int().min(1).max(120_000).optional(),
});

/** A type and not an interface, so that it is a record of handlers as well. */
export type Answers = {
  /** One SELECT, with the caps of the warehouse. */
  readonly query: (body: unknown, signal?: AbortSignal) => Promise<QueryAnswer>;
  readonly figures: () => Promise<ObserverFigures & { readonly warehouse: unknown }>;
};

export function answersOf({ warehouse, figures }: Pick<Observer, "warehouse" | "figures">): Answers {
  return {
    query(body, signal) {
      const { sql, parameters, maxRows, timeoutMs } = questionSchema.parse(body);
      return warehouse.query(sql, parameters, {
        ...(maxRows === undefined ? {} : { maxRows }),
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
        ...(signal === undefined ? {} : { signal }),
      });
    },
    figures: async () => ({ ...figures(), warehouse: warehouse.figures() }),
  };
}
