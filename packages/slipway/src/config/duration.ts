import { parseDuration } from "@slipway/base";
import * as z from "zod";

const FACT = "should be a duration like 300ms, 2s, 1m30s or 1h";

/** A duration as people write it: `300ms`, `1m30s`, `2d`. */
export const duration = z.string({ error: ({ input }) => (input === undefined ? undefined : FACT) }).refine(
  (text) => {
    try {
      parseDuration(text);
      return true;
    } catch {
      return false;
    }
  },
  { message: FACT },
);
