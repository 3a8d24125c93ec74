/** Bodies of POSTs, parsed once. What is not as it should be is told with its place. */
import * as z from "zod";
import { badRequest } from "./http/route.ts";

const cell = z.union([z.string().max(100_000), z.number(), z.boolean(), z.null()]);
const releaseNumber = z.int().positive();

export const runQuery = z.union([
  z.strictObject({ name: z.string().min(1).max(100), parameters: z.record(z.string(), cell) }),
  z.strictObject({ sql: z.string().min(1).max(100_000) }),
]);

export const saveQuery = z.object({
  name: z
    .string()
    .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, "should be lower-case letters, digits and dashes"),
  title: z.string().max(200),
  sql: z.string().min(1).max(100_000),
  chart: z
    .object({
      kind: z.enum(["line", "bar", "table"]),
      x: z.string().max(200),
      y: z.array(z.string().max(200)).max(20),
    })
    .optional(),
  schedule: z.string().max(100).optional(),
});

export const muteAlert = z.object({
  id: z.string().min(1).max(200),
  forMs: z
    .number()
    .min(0)
    .max(30 * 86_400_000),
  reason: z.string().max(1000),
});

export const rollbackRequest = z.object({ release: releaseNumber, to: releaseNumber });

export function parseBody<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw badRequest(issue?.path.join("/") || "body", issue?.message ?? "is not what is asked here");
}
