/** Running a query: its answer, or why there is none. */
import { useCallback, useState } from "react";
import type { Cell, NamedQueryView, QueryAnswerView, RunQuery } from "../live/api.ts";
import { AnswerError, post } from "../live/client.ts";

interface Run {
  readonly result: QueryAnswerView | undefined;
  readonly error: AnswerError | undefined;
  readonly isRunning: boolean;
}

export function useRun(): readonly [Run, (query: RunQuery) => void] {
  const [run, setRun] = useState<Run>({ result: undefined, error: undefined, isRunning: false });
  const start = useCallback((query: RunQuery): void => {
    setRun((before) => ({ ...before, isRunning: true }));
    post<QueryAnswerView>("/api/queries/run", query).then(
      (result) => setRun({ result, error: undefined, isRunning: false }),
      (error: unknown) =>
        setRun({
          result: undefined,
          error:
            error instanceof AnswerError ? error : new AnswerError(0, "Failed", String(error), undefined),
          isRunning: false,
        }),
    );
  }, []);
  return [run, start];
}

/** What the parameters of a kept query are when nobody says otherwise. */
export function defaults(query: NamedQueryView | undefined): Readonly<Record<string, Cell>> {
  return Object.fromEntries(
    (query?.parameters ?? []).map((parameter) => [parameter.name, parameter.default]),
  );
}
