/** Two releases side by side: is the new one slower, and where. */
import { Distribution } from "../charts/distribution.tsx";
import type { CompareAnswer, CompareSide, ReleaseSummary, ReleasesAnswer } from "../live/api.ts";
import { useLive } from "../live/store.ts";
import { useAnswer } from "../live/use-answer.ts";
import { Commit } from "../parts/commit.tsx";
import { Answered, Empty } from "../parts/state.tsx";
import { setParameters, useRoute } from "../shell/use-route.ts";
import { change, count, milliseconds, percent, perSecond } from "../words/units.ts";

export function ComparePage() {
  const releases = useAnswer<ReleasesAnswer>("/api/releases");
  return (
    <div className="page">
      <Answered answer={releases} what="the releases">
        {({ releases }) =>
          releases.length < 2 ? (
            <>
              <h1>Compare</h1>
              <Empty title="There are not two releases yet">
                When a second one has taken requests, this page says whether it is slower or fails more, and
                on which routes.
              </Empty>
            </>
          ) : (
            <Inside releases={releases} />
          )
        }
      </Answered>
    </div>
  );
}

function Inside({ releases }: { readonly releases: readonly ReleaseSummary[] }) {
  const { parameters } = useRoute();
  const committed = useLive((live) => live.committed);
  const services = useLive((live) => live.now?.services)?.map(({ service }) => service) ?? [];
  const b = Number(parameters["b"] ?? releases[0]?.number);
  const before =
    releases.find(({ number, outcome }) => number < b && outcome === "healthy") ?? releases.at(-1);
  const a = Number(parameters["a"] ?? before?.number);
  const service = parameters["service"] ?? services[0] ?? "";
  const question = new URLSearchParams({ service, a: String(a), b: String(b) });
  const answer = useAnswer<CompareAnswer>(`/api/compare?${question}`, committed, 10_000);
  const choose = (name: "a" | "b", value: number) => (
    <select
      aria-label={name === "a" ? "The release before" : "The release that is looked at"}
      value={value}
      onChange={({ target }) => setParameters({ [name]: target.value })}
    >
      {releases.map(({ number, message }) => (
        <option key={number} value={number}>
          {number} · {message}
        </option>
      ))}
    </select>
  );
  return (
    <>
      <header className="page-head">
        <h1>Compare</h1>
        <div className="pickers">
          {choose("a", a)}
          <span className="muted">with</span>
          {choose("b", b)}
          {services.length < 2 ? null : (
            <select
              aria-label="Service"
              value={service}
              onChange={({ target }) => setParameters({ service: target.value })}
            >
              {services.map((name) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          )}
        </div>
      </header>
      <Answered answer={answer} what="the comparison">
        {(found) => <Found found={found} />}
      </Answered>
    </>
  );
}

function Found({ found: { a, b, routes, verdict } }: { readonly found: CompareAnswer }) {
  const isEmpty = a.traffic.requests === 0 || b.traffic.requests === 0;
  return (
    <>
      <p className="verdict">{verdict}</p>
      {isEmpty ? (
        <Empty title={`Release ${a.traffic.requests === 0 ? a.release : b.release} has no requests yet`}>
          Choose another one, or wait until it has taken some.
        </Empty>
      ) : (
        <>
          <Figures a={a} b={b} />
          <section>
            <h2>Response time</h2>
            <p className="sides">
              <span>
                <i className="swatch two" aria-hidden="true" /> release {a.release}
              </span>
              <span>
                <i className="swatch one" aria-hidden="true" /> release {b.release}
              </span>
            </p>
            <Distribution
              sides={[
                { name: `release ${a.release}`, histogram: a.histogram },
                { name: `release ${b.release}`, histogram: b.histogram },
              ]}
            />
          </section>
          <Classes a={a} b={b} />
          <Routes routes={routes} a={a.release} b={b.release} />
        </>
      )}
    </>
  );
}

function Figures({ a, b }: { readonly a: CompareSide; readonly b: CompareSide }) {
  const rows: readonly {
    readonly name: string;
    readonly of: (side: CompareSide) => number | undefined;
    readonly format: (value: number) => string;
    /** More of it is worse. */
    readonly isWorse: boolean;
  }[] = [
    { name: "Requests", of: ({ traffic }) => traffic.requests, format: count, isWorse: false },
    { name: "Requests a second", of: ({ traffic }) => traffic.perSecond, format: perSecond, isWorse: false },
    { name: "Errors (5xx)", of: ({ traffic }) => traffic.errorRatio, format: percent, isWorse: true },
    { name: "p50", of: ({ traffic }) => traffic.p50, format: milliseconds, isWorse: true },
    { name: "p95", of: ({ traffic }) => traffic.p95, format: milliseconds, isWorse: true },
    { name: "p99", of: ({ traffic }) => traffic.p99, format: milliseconds, isWorse: true },
  ];
  return (
    <table className="compare">
      <thead>
        <tr>
          <th scope="col" />
          {[a, b].map(({ release, commit }) => (
            <th key={release} scope="col" className="number">
              <a href={`#/release/${release}`}>Release {release}</a> <Commit hash={commit} />
            </th>
          ))}
          <th scope="col" className="number">
            Change
          </th>
        </tr>
      </thead>
      <tbody>
        {rows.map(({ name, of, format, isWorse }) => {
          const [before, after] = [of(a), of(b)];
          return (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td className="number">{before === undefined ? "–" : format(before)}</td>
              <td className="number">{after === undefined ? "–" : format(after)}</td>
              <td className={`number ${isWorse ? grown(before, after) : ""}`}>
                {before === undefined || after === undefined ? "–" : isWorse ? change(before, after) : ""}
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

/** A tenth more is worth a look; half as much again is bad. */
function grown(before: number | undefined, after: number | undefined): string {
  if (before === undefined || after === undefined) return "";
  if (after > before * 1.5) return "bad";
  return after > before * 1.1 ? "warn" : after < before * 0.9 ? "good" : "";
}

function Classes({ a, b }: { readonly a: CompareSide; readonly b: CompareSide }) {
  const names = [...new Set([...Object.keys(a.classes), ...Object.keys(b.classes)])].toSorted();
  const total = ({ classes }: CompareSide): number => Object.values(classes).reduce((sum, n) => sum + n, 0);
  return (
    <section>
      <h2>Status</h2>
      <table className="classes">
        <tbody>
          {names.map((name) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              {[a, b].map((side, index) => {
                const share = (side.classes[name] ?? 0) / Math.max(1, total(side));
                return (
                  <td
                    key={side.release}
                    title={`${count(side.classes[name] ?? 0)} requests of release ${side.release}`}
                  >
                    <span className={`bar ${index === 0 ? "two" : "one"}`}>
                      <i style={{ width: `${share * 100}%` }} />
                    </span>
                    <b>{percent(share)}</b>
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Routes({
  routes,
  a,
  b,
}: Pick<CompareAnswer, "routes"> & { readonly a: number; readonly b: number }) {
  return (
    <section>
      <h2>
        Routes <small>the slowest-grown first</small>
      </h2>
      {routes.length === 0 ? (
        <Empty title="No route has a hundred requests on both sides yet">
          With fewer, a difference would be chance.
        </Empty>
      ) : (
        <table className="cards five">
          <thead>
            <tr>
              <th scope="col">Route</th>
              <th scope="col" className="number">
                Requests
              </th>
              <th scope="col" className="number">
                p95 in {a}
              </th>
              <th scope="col" className="number">
                p95 in {b}
              </th>
              <th scope="col" className="number">
                Change
              </th>
              <th scope="col" className="number">
                Errors in {b}
              </th>
            </tr>
          </thead>
          <tbody>
            {routes.map(({ route, requests, p95, errorRatio }) => (
              <tr key={route}>
                <th scope="row">
                  <a
                    href={`#/logs?release=${b}&grep=${encodeURIComponent(route.split(":")[0] as string)}`}
                    data-row
                  >
                    <code>{route}</code>
                  </a>
                </th>
                <td
                  className="number"
                  data-label="Requests"
                  title={`${count(requests[0])} and ${count(requests[1])}`}
                >
                  {count(requests[1])}
                </td>
                <td className="number" data-label={`p95 in ${a}`}>
                  {milliseconds(p95[0])}
                </td>
                <td className="number" data-label={`p95 in ${b}`}>
                  {milliseconds(p95[1])}
                </td>
                <td className={`number ${grown(p95[0], p95[1])}`} data-label="Change">
                  {change(p95[0], p95[1])}
                </td>
                <td className={`number ${errorRatio[1] > 0.01 ? "bad" : ""}`} data-label="Errors">
                  {percent(errorRatio[1])}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}
