/** Questions in SQL: those that the team keeps beside its configuration, and those of the moment. */
import type { QueriesAnswer } from "../live/api.ts";
import { type Answer, useAnswer } from "../live/use-answer.ts";
import { Ago } from "../parts/ago.tsx";
import { Answered } from "../parts/state.tsx";
import { go, useRoute } from "../shell/use-route.ts";
import { Panels } from "./panels.tsx";
import { Workbench } from "./workbench.tsx";

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
