/** All releases, newest first. */
import type { ReleaseSummary, ReleasesAnswer } from "../live/api.ts";
import { useLive } from "../live/store.ts";
import { useAnswer } from "../live/use-answer.ts";
import { Ago } from "../parts/ago.tsx";
import { Badge, toneOf } from "../parts/badge.tsx";
import { Commit } from "../parts/commit.tsx";
import { Answered, Empty } from "../parts/state.tsx";
import { setParameters, useRoute } from "../shell/use-route.ts";
import { duration } from "../words/units.ts";

export function HistoryPage() {
  const turns = useLive((live) => live.releases);
  const answer = useAnswer<ReleasesAnswer>("/api/releases", turns, 5_000);
  const { parameters } = useRoute();
  const wanted = parameters["find"] ?? "";
  return (
    <div className="page">
      <header className="page-head">
        <h1>History</h1>
        <input
          type="search"
          data-search
          placeholder="Find a message, commit, person"
          aria-label="Find a message, commit, person"
          value={wanted}
          onChange={({ target }) => setParameters({ find: target.value })}
        />
      </header>
      <Answered answer={answer} what="the releases">
        {({ releases }) => <Table releases={releases} wanted={wanted} />}
      </Answered>
    </div>
  );
}

function Table({
  releases,
  wanted,
}: {
  readonly releases: readonly ReleaseSummary[];
  readonly wanted: string;
}) {
  if (releases.length === 0) {
    return (
      <Empty title="Nothing has been released yet">
        A release is one change across all clusters. The first comes by <code>slipway ship</code>; each is
        kept in the clusters themselves, with its cause when it failed.
      </Empty>
    );
  }
  const found = releases.filter((release) =>
    [
      String(release.number),
      release.message,
      release.commit,
      release.who,
      release.outcome,
      release.cause ?? "",
    ].some((text) => text.toLowerCase().includes(wanted.toLowerCase())),
  );
  if (found.length === 0) return <Empty title={`No release has “${wanted}”`}>Fewer letters find more.</Empty>;
  return (
    <table className="cards history">
      <thead>
        <tr>
          <th scope="col">Release</th>
          <th scope="col">Outcome</th>
          <th scope="col">Change</th>
          <th scope="col">Clusters</th>
          <th scope="col" className="number">
            When
          </th>
          <th scope="col" className="number">
            Took
          </th>
          <th scope="col">
            <span className="only-heard">Compare</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {found.map((release) => (
          <Row key={release.number} release={release} />
        ))}
      </tbody>
    </table>
  );
}

function Row({ release }: { readonly release: ReleaseSummary }) {
  return (
    <tr>
      <th scope="row">
        <a href={`#/release/${release.number}`} data-row>
          {release.number}
        </a>
      </th>
      <td data-label="Outcome">
        <span className="verdicts">
          <Badge word={release.outcome} />
          {release.held ? <Badge word="held" tone="warn" /> : null}
        </span>
      </td>
      <td data-label="Change" className="wide">
        {release.kind === "rollback" ? <em>rollback to </em> : null}
        {release.message} <Commit hash={release.commit} /> <span className="muted">by {release.who}</span>
        {release.cause === undefined ? null : <p className="row-cause">{release.cause}</p>}
      </td>
      <td data-label="Clusters">
        <span className={`verdicts ${release.clusters.length <= 3 ? "few" : ""}`}>
          {release.clusters.map(({ name, verdict }) => (
            <span key={name} title={`${name}: ${verdict}`}>
              <Badge word={name} tone={toneOf(verdict)} />
              <span className="only-heard">{verdict}</span>
            </span>
          ))}
        </span>
      </td>
      <td data-label="When" className="number">
        <Ago at={release.startedAt} />
      </td>
      <td data-label="Took" className="number">
        {release.finishedAt === undefined ? "–" : duration(release.finishedAt - release.startedAt)}
      </td>
      <td className="number">
        <a href={`#/compare?b=${release.number}`}>Compare</a>
      </td>
    </tr>
  );
}
