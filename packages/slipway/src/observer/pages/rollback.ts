/** The rollback that a page asks for: the one that it has shown, one at a time, and told when it is over. */
import { SlipwayError } from "@slipway/base";
import type { ReleaseContext } from "../../release/model.ts";
import type { DeedAnswer } from "../../server/api.ts";
import { wayBackOf } from "./answers/releases.ts";
import { parseBody, rollbackRequest } from "./bodies.ts";
import { type Call, missing } from "./http/route.ts";
import type { RollBack } from "./ports.ts";
import type { Records } from "./records.ts";
import { sentenceOf } from "./rows.ts";

export function createRollback(options: {
  readonly rollBack: RollBack | undefined;
  readonly release: Pick<ReleaseContext, "who">;
  readonly records: Pick<Records, "current" | "expire">;
  /** Ends it with the pages. */
  readonly signal: AbortSignal;
  /** A rollback is over. `problem`: it failed. */
  readonly onEnd: (problem: string | undefined) => void;
  readonly log: (line: string) => void;
}): (call: Call) => Promise<DeedAnswer> {
  const { records, log } = options;
  let isGoingOn = false;

  return async ({ body }) => {
    const { release: leaves, to } = parseBody(rollbackRequest, body);
    if (options.rollBack === undefined) throw missing("rollback", "nothing can be changed from here");
    records.expire();
    const way = wayBackOf(await records.current());
    // Asked here, with nothing awaited before it begins: while records are read, another may have been asked for.
    if (isGoingOn) return { started: false, text: "a rollback is going on already" };
    if (way instanceof SlipwayError) return { started: false, text: way.message };
    if (way.leaves !== leaves || way.to !== to) {
      const text = `what would be done now is to go from release ${way.leaves} back to release ${way.to}; look again`;
      return { started: false, text };
    }
    isGoingOn = true;
    log(`rolling back release ${leaves} to release ${to}`);
    const ended = (text: string, problem?: string): void => {
      log(text);
      isGoingOn = false;
      records.expire();
      options.onEnd(problem);
    };
    void options.rollBack({ leaves, to }, options.release.who, options.signal).then(
      (text) => ended(text),
      (error: unknown) => ended(sentenceOf(error), `rollback of release ${leaves}: ${sentenceOf(error)}`),
    );
    return { started: true, text: `release ${leaves} goes back to release ${to}` };
  };
}
