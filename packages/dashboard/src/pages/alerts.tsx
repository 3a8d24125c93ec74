/** What is wrong, what was, what is not to be heard for a while, and by which rules. */
import { useState } from "react";
import type { AlertsAnswer, Incident, MuteAlert } from "../live/api.ts";
import { post } from "../live/client.ts";
import { store, useLive } from "../live/store.ts";
import { type Answer, useAnswer } from "../live/use-answer.ts";
import { Ago } from "../parts/ago.tsx";
import { Badge } from "../parts/badge.tsx";
import { Choice } from "../parts/choice.tsx";
import { DeedDialog } from "../parts/deed-dialog.tsx";
import { Answered, Empty } from "../parts/state.tsx";
import { RollbackButton } from "../shell/rollback.tsx";
import { duration } from "../words/units.ts";

export function AlertsPage() {
  const turns = useLive((live) => live.incidents);
  const committed = useLive((live) => live.committed);
  const answer = useAnswer<AlertsAnswer>("/api/alerts", `${turns}/${Math.floor(committed / 5)}`, 2_000);
  return (
    <div className="page">
      <h1>Alerts</h1>
      <Answered answer={answer} what="the alerts">
        {(alerts) => <Inside alerts={alerts} answer={answer} />}
      </Answered>
    </div>
  );
}

function Inside({
  alerts,
  answer,
}: {
  readonly alerts: AlertsAnswer;
  readonly answer: Answer<AlertsAnswer>;
}) {
  const [muting, setMuting] = useState<Muting | undefined>(undefined);
  return (
    <>
      <section>
        <h2>
          Open <small>{alerts.open.length}</small>
        </h2>
        {alerts.open.length === 0 ? (
          alerts.rules.length === 0 ? (
            <Empty title="Nothing is watched">
              There are no rules: <code>observe.alerts</code> is false in the configuration, or nothing is
              collected yet.
            </Empty>
          ) : (
            <Empty title="Nothing is wrong">
              {alerts.rules.length} rules are watched. The first 5xx of a release is told at once.
            </Empty>
          )
        ) : (
          alerts.open.map((incident) => (
            <Open
              key={incident.id}
              incident={incident}
              onMute={() => setMuting({ id: incident.id, title: incident.title, isMuted: false })}
            />
          ))
        )}
      </section>
      {alerts.muted.length === 0 ? null : (
        <section>
          <h2>Muted</h2>
          <ul className="plain-list">
            {alerts.muted.map(({ id, title, mutedUntil, rule }) => (
              <li key={id}>
                <span>
                  <strong>{title}</strong>{" "}
                  <span className="muted">
                    {rule}, to be heard again{" "}
                    {mutedUntil === undefined ? "when it closes" : <Ago at={mutedUntil} />}
                  </span>
                </span>
                <button type="button" onClick={() => setMuting({ id, title, isMuted: true })}>
                  Unmute
                </button>
              </li>
            ))}
          </ul>
        </section>
      )}
      <section hidden={alerts.rules.length === 0}>
        <h2>Rules</h2>
        <ul className="plain-list">
          {alerts.rules.map(({ name, text, state }) => (
            <li key={name}>
              <Badge word={state} />
              <span>
                <strong>{name}</strong> <span className="muted">{text}</span>
              </span>
              <button
                type="button"
                className="quiet-button"
                onClick={() => setMuting({ id: name, title: `rule ${name}`, isMuted: state === "muted" })}
              >
                {state === "muted" ? "Unmute" : "Mute"}
              </button>
            </li>
          ))}
        </ul>
      </section>
      <section>
        <h2>History</h2>
        {alerts.history.length === 0 ? (
          <Empty title="Nothing has been wrong yet" />
        ) : (
          <ul className="plain-list">
            {alerts.history.map(({ id, severity, title, openedAt, resolvedAt }) => (
              <li key={id}>
                <Badge word={severity} />
                <span>
                  {title}{" "}
                  <span className="muted">
                    <Ago at={openedAt} />
                    {resolvedAt === undefined ? "" : `, for ${duration(resolvedAt - openedAt)}`}
                  </span>
                </span>
              </li>
            ))}
          </ul>
        )}
      </section>
      {muting === undefined ? null : (
        <Mute {...muting} onClose={() => setMuting(undefined)} onDone={answer.ask} />
      )}
    </>
  );
}

function Open({ incident, onMute }: { readonly incident: Incident; readonly onMute: () => void }) {
  const { severity, title, facts, openedAt, release, rollbackTo, service, cluster, rule } = incident;
  const parameters = new URLSearchParams({
    ...(service === "" ? {} : { service }),
    ...(cluster === "" ? {} : { cluster }),
    class: "5xx",
  });
  return (
    <article className={`incident ${severity}`}>
      <header>
        <h3>{title}</h3>
        <span className="muted">
          <Badge word={severity} /> {rule}, <Ago at={openedAt} />
        </span>
      </header>
      <dl className="facts">
        {facts.map(({ name, value }) => (
          <div key={`${name}/${value}`} className={value.length > 48 ? "long" : ""}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <div className="buttons">
        {release !== undefined && rollbackTo !== undefined ? (
          <RollbackButton leaves={release} to={rollbackTo} />
        ) : null}
        <a className="button" href={`#/logs?${parameters}`} data-row>
          Failing requests
        </a>
        {release === undefined ? null : (
          <a className="button" href={`#/compare?b=${release}`}>
            Compare
          </a>
        )}
        <button type="button" onClick={onMute}>
          Mute
        </button>
      </div>
    </article>
  );
}

const hour = 3_600_000;
const lengths: readonly { readonly value: string; readonly text: string }[] = [1, 8, 24, 7 * 24].map(
  (hours) => ({
    value: String(hours * hour),
    text: duration(hours * hour),
  }),
);

interface Muting {
  /** Of an incident, or the name of a rule. */
  readonly id: string;
  readonly title: string;
  readonly isMuted: boolean;
}

function Mute({
  id,
  title,
  isMuted,
  onClose,
  onDone,
}: Muting & { readonly onClose: () => void; readonly onDone: () => void }) {
  const [length, setLength] = useState(String(hour));
  const [reason, setReason] = useState("");
  const change = async (confirm: string): Promise<void> => {
    const forMs = isMuted ? 0 : Number(length);
    await post<unknown>("/api/alerts/mute", { id, forMs, reason, confirm } satisfies MuteAlert);
    store.notify("good", isMuted ? "It is heard again." : `Muted for ${duration(forMs)}.`);
    onDone();
  };
  const button = isMuted ? "Unmute" : "Mute";
  return (
    <DeedDialog
      title={`${button}: ${title}`}
      button={button}
      refused="Not changed"
      onDo={change}
      onClose={onClose}
    >
      {isMuted ? (
        <p>Whoever is told of alerts is told of it again.</p>
      ) : (
        <>
          <p>It is still watched and kept in the history; nobody is told until the time is over.</p>
          <Choice label="For how long" options={lengths} value={length} onChoose={setLength} />
          <label>
            Why, for whoever wonders tomorrow
            <input value={reason} onChange={({ target }) => setReason(target.value)} />
          </label>
        </>
      )}
    </DeedDialog>
  );
}
