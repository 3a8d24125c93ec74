/** One release, live while it goes out: where it is, what it waits for, and if it fails, why, and how to go back. */
import { useState } from "react";
import type { CauseView, PodChange, ReleaseAnswer, ReleasesAnswer } from "../live/api.ts";
import { useNow } from "../live/clock.ts";
import { store, useLive } from "../live/store.ts";
import { useAnswer } from "../live/use-answer.ts";
import { Ago } from "../parts/ago.tsx";
import { Badge } from "../parts/badge.tsx";
import { Commit } from "../parts/commit.tsx";
import { Answered, Empty } from "../parts/state.tsx";
import { RollbackButton } from "../shell/rollback.tsx";
import { useRoute } from "../shell/use-route.ts";
import { absolute } from "../words/time.ts";
import { count, duration } from "../words/units.ts";
import { isUnderWay } from "../words/where.ts";
import { Cells, Legend, Timeline, Trouble } from "./pods.tsx";

export function ReleasePage() {
  const { id } = useRoute();
  const turns = useLive((live) => live.releases);
  const live = useLive((live) => live.release);
  const releases = useAnswer<ReleasesAnswer>("/api/releases", turns, 5_000);
  const newest = releases.value?.releases[0]?.number;
  const number = id === undefined ? newest : Number(id);
  const isLive = live !== undefined && live.number === number;
  const asked = useAnswer<ReleaseAnswer>(
    number === undefined || isLive ? undefined : `/api/releases/${number}`,
  );
  if (newest === undefined) {
    return (
      <Answered answer={releases} what="the releases">
        {() => (
          <Empty title="Nothing has been released yet">
            In the folder of your service, <code>slipway ship</code> builds, verifies and deploys it; it is
            seen here while it goes out.
          </Empty>
        )}
      </Answered>
    );
  }
  if (isLive) return <Inside answer={live.answer} changes={live.changes} releases={releases.value} />;
  return (
    <Answered answer={asked} what={`release ${number}`}>
      {(answer) => <Inside answer={answer} changes={answer.changes ?? []} releases={releases.value} />}
    </Answered>
  );
}

function Inside({
  answer,
  changes,
  releases,
}: {
  readonly answer: ReleaseAnswer;
  readonly changes: readonly PodChange[];
  readonly releases: ReleasesAnswer | undefined;
}) {
  const { release, waves, pods, waiting, causes, gates, diff } = answer;
  const now = useNow();
  const end = release.finishedAt ?? now;
  return (
    <div className="page">
      <Head answer={answer} releases={releases} />
      {waiting.length === 0 ? null : <Waiting waiting={waiting} />}
      {causes.map((cause) => (
        <Cause key={`${cause.cluster}/${cause.code}`} cause={cause} />
      ))}
      <section>
        <h2>Waves</h2>
        <ol className="waves">
          {waves.map((clusters, index) => (
            <li key={clusters.join()}>
              <h3>Wave {index + 1}</h3>
              <div className="wave-clusters">
                {clusters.map((name) => {
                  const cluster = release.clusters.find((candidate) => candidate.name === name);
                  const own = pods.filter((pod) => pod.cluster === name);
                  return (
                    <div key={name} className="wave-cluster">
                      <div className="wave-head">
                        <strong>{name}</strong>
                        <Where cluster={cluster} />
                      </div>
                      {own.length === 0 ? (
                        <p className="muted">no pods are known here</p>
                      ) : (
                        <Cells pods={own} />
                      )}
                      <Trouble pods={own} />
                    </div>
                  );
                })}
              </div>
            </li>
          ))}
        </ol>
        <Legend />
      </section>
      {changes.length === 0 ? null : (
        <section>
          <h2>
            Every pod over time{" "}
            <small title={absolute(release.startedAt)}>
              {duration(end - release.startedAt)} from <Ago at={release.startedAt} />
            </small>
          </h2>
          <Timeline
            changes={changes}
            clusters={waves.flat()}
            began={release.startedAt}
            from={release.startedAt - Math.max(300, (end - release.startedAt) * 0.06)}
            // A pod is seen to be ready a moment after the release has seen it.
            to={
              release.finishedAt === undefined ? end : end + Math.max(1_000, (end - release.startedAt) * 0.03)
            }
          />
        </section>
      )}
      <Gates gates={gates} />
      <section>
        <h2>What is different from the release before</h2>
        {diff === "" ? (
          <Empty title="Nothing: the same objects as the release before" />
        ) : (
          <Diff text={diff} />
        )}
      </section>
    </div>
  );
}

function Where({ cluster }: { readonly cluster: ReleaseAnswer["release"]["clusters"][number] | undefined }) {
  if (cluster === undefined) return <Badge word="unknown" />;
  const { verdict, step } = cluster;
  if (isUnderWay(cluster)) {
    return <Badge word={step} tone="going" />;
  }
  return (
    <>
      <Badge word={verdict} />
      {step === "done" || step === "pending" ? null : <span className="muted">{step}</span>}
    </>
  );
}

function Head({
  answer,
  releases,
}: {
  readonly answer: ReleaseAnswer;
  readonly releases: ReleasesAnswer | undefined;
}) {
  const { release } = answer;
  const now = useNow();
  const newest = releases?.releases[0]?.number;
  const to = releases?.rollbackTo;
  const isBad = answer.causes.length > 0 || release.outcome === "failed";
  return (
    <header className="page-head">
      <div>
        <h1>
          Release {release.number} <Badge word={release.outcome} />
          {release.held ? <Badge word="held" tone="warn" /> : null}
        </h1>
        <p className="lead">{release.message}</p>
        <p className="muted">
          {release.kind === "rollback" ? "Rollback to " : ""}
          <Commit hash={release.commit} /> by {release.who}
          {release.from === release.who ? "" : ` from ${release.from}`}, <Ago at={release.startedAt} />;{" "}
          {release.finishedAt === undefined
            ? `going out for ${duration(now - release.startedAt)}`
            : `took ${duration(release.finishedAt - release.startedAt)}`}
        </p>
      </div>
      <div className="buttons">
        <a className="button" href={`#/compare?b=${release.number}`}>
          Compare
        </a>
        <a className="button" href={`#/logs?release=${release.number}`}>
          Logs
        </a>
        {release.number !== newest ? null : to !== undefined ? (
          <RollbackButton leaves={release.number} to={to} isUrgent={isBad} />
        ) : releases?.noRollback === undefined ? null : (
          <span className="muted">No rollback: {releases.noRollback}</span>
        )}
      </div>
    </header>
  );
}

function Waiting({ waiting }: Pick<ReleaseAnswer, "waiting">) {
  const now = useNow();
  return (
    <section className="waits" aria-live="polite" aria-label="What is being waited for">
      {waiting.map(({ cluster, text, untilMs }) => (
        <p key={cluster}>
          <strong>{cluster}</strong> {text}
          {untilMs === undefined
            ? ""
            : untilMs > now
              ? `; ${duration(untilMs - now)} left`
              : "; its time is up"}
        </p>
      ))}
    </section>
  );
}

function Cause({ cause }: { readonly cause: CauseView }) {
  const copy = (command: string): void => {
    navigator.clipboard.writeText(command).then(
      () => store.notify("quiet", "Copied"),
      () => store.notify("bad", "The browser does not let this page copy; select the line instead."),
    );
  };
  return (
    <section className="cause">
      <p className="cause-code">
        {cause.code} <span className="muted">in {cause.cluster}</span>
      </p>
      <h2>{cause.sentence}</h2>
      <p>{cause.advice}</p>
      {cause.command === undefined ? null : (
        <div className="command">
          <code>{cause.command}</code>
          <button type="button" onClick={() => copy(cause.command as string)}>
            Copy
          </button>
        </div>
      )}
      {cause.evidence.map(({ title, text }, index) => (
        <details key={title} open={index === 0}>
          <summary>{title}</summary>
          <pre>{text}</pre>
        </details>
      ))}
    </section>
  );
}

function Gates({ gates }: Pick<ReleaseAnswer, "gates">) {
  if (gates.length === 0) return null;
  return (
    <section>
      <h2>Gates</h2>
      <ul className="gates">
        {gates.map(({ wave, name, outcome, said, values }) => (
          <li key={`${wave}/${name}`}>
            <Badge word={outcome} />
            <div>
              <strong>{name}</strong> <span className="muted">after wave {wave}</span>
              <p>{said}</p>
              <dl className="values">
                {Object.entries(values).map(([key, value]) => (
                  <div key={key}>
                    <dt>{key}</dt>
                    <dd>
                      {typeof value === "number"
                        ? value !== 0 && Math.abs(value) < 1
                          ? value
                          : count(value)
                        : value}
                    </dd>
                  </div>
                ))}
              </dl>
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** A diff is long at times: its first lines are shown, the others on demand. */
function Diff({ text }: { readonly text: string }) {
  const [isWhole, setIsWhole] = useState(false);
  const lines = text.split("\n");
  const most = 60;
  const shown = isWhole ? lines : lines.slice(0, most);
  return (
    <>
      <pre className="diff">
        {shown.map((line, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: lines of a text that does not change
          <span key={index} className={lineKind(line)}>
            {line}
            {"\n"}
          </span>
        ))}
      </pre>
      {lines.length > most && !isWhole ? (
        <button type="button" onClick={() => setIsWhole(true)}>
          Show all {lines.length} lines
        </button>
      ) : null}
    </>
  );
}

function lineKind(line: string): string {
  const mark = /^\s*([+\-~])\s/.exec(line)?.[1];
  return mark === "+"
    ? "added"
    : mark === "-"
      ? "removed"
      : mark === "~"
        ? "changed"
        : /^\S/.test(line)
          ? "object"
          : "";
}
