import { parseDuration } from "@slipway/base";
import * as z from "zod";

/** A duration as people write it: `300ms`, `1m30s`, `2d`. */
export const duration = z.string().refine(
  (text) => {
    try {
      parseDuration(text);
      return true;
    } catch {
      return false;
    }
  },
  { message: "should be a duration like 300ms, 2s, 1m30s or 1h" },
);
