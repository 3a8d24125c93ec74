/** What every command that asks takes. */
import type { OptionDeclaration } from "../command.ts";

export const askingOptions: readonly OptionDeclaration[] = [
  { flags: "--on <place>", description: "bigquery or collectors; default: BigQuery where it is configured" },
  { flags: "--csv", description: "print comma-separated values" },
  { flags: "--rows <number>", description: "at most so many rows", default: "1000" },
  { flags: "--timeout <duration>", description: "give up after this long", default: "30s" },
];
