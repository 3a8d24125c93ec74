/** A dashboard of the team: kept queries side by side. */
import { useEffect } from "react";
import type { Cell, DashboardView, NamedQueryView } from "../live/api.ts";
import { every } from "../live/clock.ts";
import { Result } from "./result.tsx";
import { defaults, useRun } from "./use-run.ts";

export function Panels({
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
