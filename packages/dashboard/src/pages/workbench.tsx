/** Where a query is written, run, drawn and kept. */
import { useEffect, useState } from "react";
import type { Cell, ChartView, NamedQueryView, QueriesAnswer, QueryAnswerView } from "../live/api.ts";
import { Ago } from "../parts/ago.tsx";
import { Editor } from "./editor.tsx";
import { Result } from "./result.tsx";
import { SaveDialog } from "./save-query.tsx";
import { defaults, useRun } from "./use-run.ts";

export function Workbench({
  query,
  sql: initial,
  tables,
  onSaved,
}: {
  readonly query: NamedQueryView | undefined;
  readonly sql: string;
  readonly tables: QueriesAnswer["tables"];
  readonly onSaved: () => void;
}) {
  const [sql, setSql] = useState(initial);
  const [values, setValues] = useState<Readonly<Record<string, Cell>>>(() => defaults(query));
  const [chart, setChart] = useState<ChartView | undefined>(query?.chart);
  const [isSaving, setIsSaving] = useState(false);
  const [run, start] = useRun();
  const isKept = query !== undefined && sql === query.sql;
  const onRun = (): void => start(isKept ? { name: query.name, parameters: values } : { sql });
  // A kept query is there to be answered.
  // biome-ignore lint/correctness/useExhaustiveDependencies: once
  useEffect(() => {
    if (query !== undefined) start({ name: query.name, parameters: values });
  }, []);
  return (
    <section className="workbench">
      {query?.lastRun?.problem === undefined ? null : (
        <div className="problem" role="alert">
          <div>
            <strong>The scheduled run failed: {query.lastRun.problem}</strong>
            <span>
              <Ago at={query.lastRun.at} />. Correct it in queries/{query.name}.sql.
            </span>
          </div>
        </div>
      )}
      <Editor value={sql} tables={tables} onChange={setSql} onRun={onRun} />
      <div className="workbench-foot">
        {!isKept
          ? null
          : query.parameters.map(({ name, type }) => (
              <label key={name} className="inline">
                {name}
                <input
                  type={type === "number" ? "number" : "text"}
                  value={String(values[name] ?? "")}
                  onChange={({ target }) =>
                    setValues({ ...values, [name]: type === "number" ? Number(target.value) : target.value })
                  }
                />
              </label>
            ))}
        <span className="grow" />
        <button type="button" onClick={() => setIsSaving(true)}>
          Save as a file
        </button>
        <button type="button" className="primary" onClick={onRun} disabled={run.isRunning}>
          {run.isRunning ? "Running…" : "Run"}{" "}
          <span className="key" aria-hidden="true">
            Ctrl ⏎
          </span>
        </button>
      </div>
      {run.error === undefined ? null : (
        <div className="problem" role="alert">
          <div>
            <strong>{run.error.message}</strong>
            <span>{run.error.hint ?? "Nothing was changed."}</span>
            {!isKept && /\$[A-Za-z_]/.test(sql) ? (
              <span>
                Parameters are known of kept queries only: write the value instead, or save it first.
              </span>
            ) : null}
          </div>
        </div>
      )}
      {run.result === undefined ? (
        run.error === undefined && !run.isRunning ? (
          <p className="fine">
            {tables.length === 0 ? "" : `Tables: ${tables.map(({ name }) => name).join(", ")}. `}One SELECT at
            a time; it reads and never writes, and is stopped when it takes too long.
          </p>
        ) : null
      ) : (
        <>
          <ChartChoice result={run.result} chart={chart} onChange={setChart} />
          <Result result={run.result} chart={chart} name={query?.name ?? "query"} />
        </>
      )}
      {isSaving ? (
        <SaveDialog
          sql={sql}
          query={query}
          chart={chart}
          onClose={() => setIsSaving(false)}
          onSaved={onSaved}
        />
      ) : null}
    </section>
  );
}

function ChartChoice({
  result,
  chart,
  onChange,
}: {
  readonly result: QueryAnswerView;
  readonly chart: ChartView | undefined;
  readonly onChange: (chart: ChartView | undefined) => void;
}) {
  const numbers = result.columns.filter(({ type }) => type === "number").map(({ name }) => name);
  const x = chart?.x ?? (result.columns.find(({ type }) => type === "time") ?? result.columns[0])?.name ?? "";
  const y = chart?.y ?? numbers.filter((name) => name !== x).slice(0, 1);
  if (numbers.length === 0) return null;
  return (
    <div className="chart-choice">
      <label className="inline">
        Picture
        <select
          value={chart?.kind ?? "table"}
          onChange={({ target }) =>
            onChange(target.value === "table" ? undefined : { kind: target.value as "line" | "bar", x, y })
          }
        >
          <option value="table">none</option>
          <option value="line">lines over time</option>
          <option value="bar">bars</option>
        </select>
      </label>
      {chart === undefined ? null : (
        <>
          <label className="inline">
            of
            <select value={y[0] ?? ""} onChange={({ target }) => onChange({ ...chart, y: [target.value] })}>
              {numbers.map((name) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          </label>
          <label className="inline">
            by
            <select value={x} onChange={({ target }) => onChange({ ...chart, x: target.value })}>
              {result.columns.map(({ name }) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          </label>
        </>
      )}
    </div>
  );
}
