/** Questions in SQL: those that the team keeps beside its configuration, and those of the moment. */
import { useCallback, useEffect, useState } from "react";
import type {
  Cell,
  ChartView,
  DashboardView,
  NamedQueryView,
  QueriesAnswer,
  QueryAnswerView,
  RunQuery,
  SaveQuery,
} from "../live/api.ts";
import { AnswerError, post } from "../live/client.ts";
import { every } from "../live/clock.ts";
import { store } from "../live/store.ts";
import { type Answer, useAnswer } from "../live/use-answer.ts";
import { Ago } from "../parts/ago.tsx";
import { DeedDialog } from "../parts/deed-dialog.tsx";
import { Answered } from "../parts/state.tsx";
import { go, useRoute } from "../shell/use-route.ts";
import { Editor } from "./editor.tsx";
import { Result } from "./result.tsx";

const first =
  "select route, count(*) as n,\n       quantile_cont(rt_ms, 0.95) as p95_ms\nfrom requests\nwhere ts > now() - interval 1 hour\ngroup by route\norder by n desc\nlimit 20";

export function QueriesPage() {
  const answer = useAnswer<QueriesAnswer>("/api/queries");
  return (
    <div className="page">
      <Answered answer={answer} what="the queries">
        {(found) => <Inside found={found} answer={answer} />}
      </Answered>
    </div>
  );
}

function Inside({
  found,
  answer,
}: {
  readonly found: QueriesAnswer;
  readonly answer: Answer<QueriesAnswer>;
}) {
  const { id, parameters } = useRoute();
  const dashboard = found.dashboards.find(({ name }) => id === `dashboard:${name}`);
  const query = found.queries.find(({ name }) => name === id);
  return (
    <>
      <header className="page-head">
        <h1>{dashboard?.title ?? query?.title ?? "Queries"}</h1>
      </header>
      <div className="queries">
        <List found={found} id={id} />
        {dashboard !== undefined ? (
          <Panels dashboard={dashboard} queries={found.queries} />
        ) : (
          <Workbench
            key={id ?? parameters["sql"] ?? ""}
            query={query}
            sql={query?.sql ?? parameters["sql"] ?? first}
            tables={found.tables}
            onSaved={answer.ask}
          />
        )}
      </div>
    </>
  );
}

function List({ found, id }: { readonly found: QueriesAnswer; readonly id: string | undefined }) {
  return (
    <aside className="query-list" aria-label="Kept queries">
      <button type="button" onClick={() => go({ page: "queries" })}>
        New query
      </button>
      {found.problems.map(({ where, message }) => (
        <div key={where} className="problem" role="alert">
          <div>
            <strong>{where}</strong>
            <span>{message}</span>
          </div>
        </div>
      ))}
      {found.dashboards.length === 0 ? null : <h2>Dashboards</h2>}
      <ul>
        {found.dashboards.map(({ name, title }) => (
          <li key={name}>
            <a
              href={`#/queries/${encodeURIComponent(`dashboard:${name}`)}`}
              data-row
              aria-current={id === `dashboard:${name}` ? "true" : undefined}
            >
              {title}
            </a>
          </li>
        ))}
      </ul>
      <h2>Queries</h2>
      <ul>
        {found.queries.map(({ name, title, schedule, lastRun }) => (
          <li key={name}>
            <a
              href={`#/queries/${encodeURIComponent(name)}`}
              data-row
              aria-current={id === name ? "true" : undefined}
            >
              {title}
              {schedule === undefined ? null : (
                <small className={lastRun?.ok === false ? "bad" : ""}>
                  {schedule}
                  {lastRun === undefined ? "" : lastRun.ok ? ", ran" : ", failed"}{" "}
                  {lastRun === undefined ? null : <Ago at={lastRun.at} />}
                </small>
              )}
            </a>
          </li>
        ))}
      </ul>
      {found.queries.length === 0 ? (
        <p className="fine">
          None are kept yet. Write one and save it: it becomes a file in <code>queries/</code>, beside your
          configuration.
        </p>
      ) : null}
    </aside>
  );
}

interface Run {
  readonly result: QueryAnswerView | undefined;
  readonly error: AnswerError | undefined;
  readonly isRunning: boolean;
}

function useRun(): readonly [Run, (query: RunQuery) => void] {
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

function Workbench({
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
        <Save sql={sql} query={query} chart={chart} onClose={() => setIsSaving(false)} onSaved={onSaved} />
      ) : null}
    </section>
  );
}

function defaults(query: NamedQueryView | undefined): Readonly<Record<string, Cell>> {
  return Object.fromEntries(
    (query?.parameters ?? []).map((parameter) => [parameter.name, parameter.default]),
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

function Save({
  sql,
  query,
  chart,
  onClose,
  onSaved,
}: {
  readonly sql: string;
  readonly query: NamedQueryView | undefined;
  readonly chart: ChartView | undefined;
  readonly onClose: () => void;
  readonly onSaved: () => void;
}) {
  const [name, setName] = useState(query?.name ?? "");
  const [title, setTitle] = useState(query?.title ?? "");
  const [schedule, setSchedule] = useState(query?.schedule ?? "");
  const save = async (confirm: string): Promise<void> => {
    const request: SaveQuery = {
      name,
      title: title === "" ? name : title,
      sql,
      chart,
      schedule: schedule.trim() === "" ? undefined : schedule.trim(),
      confirm,
    };
    const { file } = await post<{ file: string }>("/api/queries/save", request);
    store.notify("good", `Saved as ${file}. Commit it, and everybody has it.`);
    onSaved();
    go({ page: "queries", id: name });
  };
  return (
    <DeedDialog
      title="Save as a file"
      button={`Save queries/${name === "" ? "…" : name}.sql`}
      refused="Not saved"
      onDo={save}
      onClose={onClose}
    >
      <label>
        Name of the file
        <input
          required
          pattern="[a-z0-9](?:[a-z0-9\-]*[a-z0-9])?"
          title="Small letters, digits and dashes"
          placeholder="slow-routes"
          value={name}
          onChange={({ target }) => setName(target.value)}
        />
      </label>
      <label>
        Title
        <input placeholder="Slowest routes" value={title} onChange={({ target }) => setTitle(target.value)} />
      </label>
      <label>
        Schedule, if it is to run by itself
        <input
          placeholder="0 9 * * 1 Asia/Tokyo"
          value={schedule}
          onChange={({ target }) => setSchedule(target.value)}
        />
        <small>Minute, hour, day, month, day of the week, time zone: Mondays at nine in Tokyo.</small>
      </label>
    </DeedDialog>
  );
}

function Panels({
  dashboard,
  queries,
}: {
  readonly dashboard: DashboardView;
  readonly queries: readonly NamedQueryView[];
}) {
  return (
    <div className="panels">
      {dashboard.panels.map((panel) => (
        <Panel
          key={`${panel.query}/${panel.title}`}
          title={panel.title}
          query={queries.find(({ name }) => name === panel.query)}
          name={panel.query}
          parameters={panel.parameters}
        />
      ))}
    </div>
  );
}

/** Panels are asked again by themselves; what did not change comes from the server's cache. */
const refreshMs = 30_000;

function Panel({
  title,
  query,
  name,
  parameters,
}: {
  readonly title: string;
  readonly query: NamedQueryView | undefined;
  readonly name: string;
  readonly parameters: Readonly<Record<string, Cell>>;
}) {
  const [run, start] = useRun();
  // biome-ignore lint/correctness/useExhaustiveDependencies: a panel is one question for as long as it is shown
  useEffect(() => {
    if (query === undefined) return;
    const ask = (): void => start({ name, parameters: { ...defaults(query), ...parameters } });
    ask();
    return every(refreshMs, () => {
      if (!document.hidden) ask();
    });
  }, []);
  return (
    <section className="panel">
      <h2>
        <a href={`#/queries/${encodeURIComponent(name)}`}>{title}</a>
      </h2>
      {query === undefined ? (
        <p className="refused">There is no query {name}: this dashboard names one that was taken away.</p>
      ) : run.error !== undefined ? (
        <p className="refused" role="alert">
          {run.error.message}. {run.error.hint}
        </p>
      ) : run.result === undefined ? null : (
        <Result result={run.result} chart={query.chart} name={name} areRowsFolded />
      )}
    </section>
  );
}
