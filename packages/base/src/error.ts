/**
 * The one error that operations throw. A message is data: `code` is stable and greppable, `where` names the
 * place, `message` the fact, `hint` what to do. Rendering happens at the edge (terminal, JSON, Slack).
 *
 * @example
 * throw new SlipwayError({
 *   code: "CONFIG_UNKNOWN_KEY",
 *   where: "slipway.config.ts/images/wbe",
 *   message: "unknown key \"contxt\"",
 *   hint: "Did you mean \"context\"?",
 * });
 */
export interface ErrorFacts {
  readonly code: string;
  readonly message: string;
  readonly where?: string | undefined;
  readonly hint?: string | undefined;
  readonly cause?: unknown;
  /** What the process should exit with when this error ends it. 1 when absent. See the exit codes in `docs`. */
  readonly exitCode?: number | undefined;
}

export class SlipwayError extends Error {
  override readonly name: string = "SlipwayError";
  readonly code: string;
  readonly where: string | undefined;
  readonly hint: string | undefined;
  readonly exitCode: number | undefined;

  constructor(facts: ErrorFacts) {
    super(facts.message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.code = facts.code;
    this.where = facts.where;
    this.hint = facts.hint;
    this.exitCode = facts.exitCode;
  }

  toJSON(): { code: string; where?: string; message: string; hint?: string } {
    return {
      code: this.code,
      ...(this.where === undefined ? {} : { where: this.where }),
      message: this.message,
      ...(this.hint === undefined ? {} : { hint: this.hint }),
    };
  }
}

/** `place: fact` on the first line, what to do on the second. */
export function renderError(error: unknown): string {
  if (error instanceof SlipwayError) {
    const head = error.where === undefined ? error.message : `${error.where}: ${error.message}`;
    return error.hint === undefined ? head : `${head}\n  ${error.hint}`;
  }
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** The `code` of a Node.js system error (`ENOENT`, `ECONNREFUSED`, …), or undefined. */
export function systemCode(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
