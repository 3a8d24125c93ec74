/** Lines of all clusters in order of time: what was asked and answered, and what the services say. */
import { type FormEvent, memo, useEffect, useMemo, useRef, useState } from "react";
import type { LogEntry, LogsAnswer } from "../live/api.ts";
import { now, useNow } from "../live/clock.ts";
import { useAnswer } from "../live/use-answer.ts";
import { Choice } from "../parts/choice.tsx";
import { Answered, Empty } from "../parts/state.tsx";
import { setParameters, useRoute } from "../shell/use-route.ts";
import { absolute, clockMs } from "../words/time.ts";
import { count } from "../words/units.ts";
import { rangeOf, ranges } from "./ranges.ts";
import { useTail } from "./use-tail.ts";

const filters = ["service", "cluster", "release", "kind", "class", "pod"] as const;
const limit = 500;

export function LogsPage() {
  const { parameters } = useRoute();
  const isLive = parameters["live"] !== "no";
  const asked = useMemo(() => question(parameters), [parameters]);
  // From a moment that is fixed when the question changes; what comes later is the tail's.
  const since = useMemo(() => (asked === "" ? now() : now()) - rangeOf(parameters).ms, [asked, parameters]);
  const answer = useAnswer<LogsAnswer>(
    `/api/logs?${asked}${asked === "" ? "" : "&"}from=${since}&limit=${limit}`,
  );
  const tail = useTail(isLive ? asked : undefined);
  return (
    <div className="page logs-page">
      <header className="page-head">
        <h1>Logs</h1>
        <Search value={parameters["grep"] ?? ""} />
        <div data-ranges>
          <Choice
            label="Time"
            value={rangeOf(parameters).value}
            options={ranges}
            onChoose={(range) => setParameters({ range })}
          />
        </div>
        <button
          type="button"
          className="toggle"
          aria-pressed={isLive}
          onClick={() => setParameters({ live: isLive ? "no" : "" })}
        >
          {isLive ? (tail.isLost ? "Reconnecting" : "Following") : "Follow"}
        </button>
      </header>
      <Chosen parameters={parameters} />
      <Answered answer={answer} what="the logs">
        {(found) => (
          <div className="logs">
            <Facets facets={found.facets} parameters={parameters} />
            <Lines found={found} tail={tail.entries} isLive={isLive} grep={parameters["grep"] ?? ""} />
          </div>
        )}
      </Answered>
    </div>
  );
}

function question(parameters: Readonly<Record<string, string>>): string {
  const wanted = [...filters, "grep"].flatMap((name) => {
    const value = parameters[name];
    return value === undefined || value === "" ? [] : [[name, value]];
  });
  return new URLSearchParams(wanted).toString();
}

function Search({ value }: { readonly value: string }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    setParameters({ grep: text });
  };
  return (
    <search className="search">
      <form onSubmit={submit}>
        <input
          type="search"
          data-search
          placeholder="Text that a line has, then Enter"
          aria-label="Text that a line has"
          value={text}
          onChange={({ target }) => setText(target.value)}
        />
      </form>
    </search>
  );
}

function Chosen({ parameters }: { readonly parameters: Readonly<Record<string, string>> }) {
  const chosen = [...filters, "grep"].filter((name) => (parameters[name] ?? "") !== "");
  if (chosen.length === 0) return null;
  return (
    <p className="chosen">
      {chosen.map((name) => (
        <button
          key={name}
          type="button"
          onClick={() => setParameters({ [name]: "" })}
          title="Take this filter away"
        >
          {name === "grep" ? "text" : name} <b>{parameters[name]}</b> <span aria-hidden="true">×</span>
        </button>
      ))}
      <button
        type="button"
        onClick={() => setParameters(Object.fromEntries(chosen.map((name) => [name, ""])))}
      >
        Take all away
      </button>
    </p>
  );
}

function Facets({
  facets,
  parameters,
}: {
  readonly facets: LogsAnswer["facets"];
  readonly parameters: Readonly<Record<string, string>>;
}) {
  const [isOpen, setIsOpen] = useState(false);
  const shown = filters.filter((name) => (facets[name]?.length ?? 0) > 0);
  if (shown.length === 0) return <div />;
  return (
    <aside className={`facets ${isOpen ? "open" : ""}`} aria-label="Narrow down">
      <button
        type="button"
        className="facets-switch"
        aria-expanded={isOpen}
        onClick={() => setIsOpen(!isOpen)}
      >
        Narrow down
      </button>
      {shown.map((name) => {
        const values = facets[name] ?? [];
        const most = Math.max(...values.map(({ count }) => count));
        return (
          <div key={name} className="facet">
            <h2>{name}</h2>
            <ul>
              {values.slice(0, 7).map(({ value, count: n }) => (
                <li key={value}>
                  <button
                    type="button"
                    aria-pressed={parameters[name] === value}
                    onClick={() => setParameters({ [name]: parameters[name] === value ? "" : value })}
                  >
                    <i style={{ width: `${(n / most) * 100}%` }} aria-hidden="true" />
                    <span>{value}</span>
                    <b>{count(n)}</b>
                  </button>
                </li>
              ))}
              {values.length > 7 ? <li className="muted">and {values.length - 7} more</li> : null}
            </ul>
          </div>
        );
      })}
    </aside>
  );
}

function Lines({
  found,
  tail,
  isLive,
  grep,
}: {
  readonly found: LogsAnswer;
  readonly tail: readonly LogEntry[];
  readonly isLive: boolean;
  readonly grep: string;
}) {
  const box = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);
  const newest = found.entries.at(-1)?.ts ?? 0;
  // The tail begins a little before the answer ends: what both have is shown once.
  const entries = useMemo(
    () => [...found.entries, ...tail.filter(({ ts }) => ts > newest)].slice(-limit),
    [found, tail, newest],
  );
  // biome-ignore lint/correctness/useExhaustiveDependencies: new lines move the end
  useEffect(() => {
    if (isAtEnd.current && box.current !== null) box.current.scrollTop = box.current.scrollHeight;
  }, [entries]);
  if (entries.length === 0) {
    return (
      <Empty title="No line fits">
        {grep === "" ? "Nothing was written in this time." : "Fewer letters or fewer filters find more."}{" "}
        {isLive ? "What is written from now on appears here." : "A longer time finds more."}
      </Empty>
    );
  }
  return (
    <div
      className="lines"
      ref={box}
      role="log"
      aria-live="off"
      aria-label="Log lines, the newest last"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
      tabIndex={0}
      onScroll={({ currentTarget: { scrollTop, scrollHeight, clientHeight } }) => {
        isAtEnd.current = scrollHeight - scrollTop - clientHeight < 40;
      }}
    >
      {found.isTruncated ? (
        <p className="muted">Older lines are not shown: the newest {count(limit)} are.</p>
      ) : null}
      {entries.map((entry) => (
        <Line key={idOf(entry)} entry={entry} grep={grep} />
      ))}
    </div>
  );
}

/** Two lines may be the same to the letter: each that arrives gets a number of its own, and keeps its row. */
const ids = new WeakMap<LogEntry, number>();
let lastId = 0;

function idOf(entry: LogEntry): number {
  const known = ids.get(entry);
  if (known !== undefined) return known;
  lastId += 1;
  ids.set(entry, lastId);
  return lastId;
}

const Line = memo(function Line({ entry, grep }: { readonly entry: LogEntry; readonly grep: string }) {
  const [isOpen, setIsOpen] = useState(false);
  const kind = entry.status !== undefined ? `s${Math.floor(entry.status / 100)}` : entry.severity;
  return (
    <div className={`line ${kind}`}>
      <button type="button" data-row aria-expanded={isOpen} onClick={() => setIsOpen(!isOpen)}>
        <time dateTime={new Date(entry.ts).toISOString()} title={absolute(entry.ts)}>
          {clockMs(entry.ts)}
        </time>
        <span
          className={`pod hue${hue(entry.pod)}`}
          title={`${entry.pod} in ${entry.cluster}, release ${entry.release}`}
        >
          {entry.cluster}/{entry.service}
        </span>
        <span className="line-release">{entry.release}</span>
        <span className="line-text">
          <Marked text={entry.text} grep={grep} />
        </span>
      </button>
      {isOpen ? <Detail entry={entry} /> : null}
    </div>
  );
});

function Detail({ entry }: { readonly entry: LogEntry }) {
  const at = useNow();
  const box = useRef<HTMLDivElement>(null);
  // Of the last line it would lie below what is seen.
  useEffect(() => {
    // In braces: it returns a promise, which an effect must not.
    void box.current?.scrollIntoView({ block: "nearest" });
  }, []);
  const facts: readonly (readonly [string, string, string | undefined])[] = [
    ["time", `${absolute(entry.ts)}, ${Math.max(0, Math.round((at - entry.ts) / 1_000))} s ago`, undefined],
    ["cluster", entry.cluster, "cluster"],
    ["service", entry.service, "service"],
    ["pod", entry.pod, "pod"],
    ["container", entry.container, undefined],
    ["release", String(entry.release), "release"],
    ["stream", entry.stream, undefined],
    ["severity", entry.severity, undefined],
  ];
  return (
    <div className="line-detail" ref={box}>
      <dl>
        {facts.map(([name, value, filter]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              {value}
              {filter === undefined ? null : (
                <button
                  type="button"
                  className="quiet-button"
                  onClick={() => setParameters({ [filter]: value })}
                >
                  only this
                </button>
              )}
            </dd>
          </div>
        ))}
      </dl>
      <pre>{pretty(entry.text)}</pre>
    </div>
  );
}

/** A JSON line over several lines; everything else as it is. */
function pretty(text: string): string {
  if (!text.startsWith("{")) return text;
  try {
    return JSON.stringify(JSON.parse(text), undefined, 2);
  } catch {
    return text;
  }
}

function Marked({ text, grep }: { readonly text: string; readonly grep: string }) {
  // Colours of a terminal are not text.
  const plain = text.replaceAll(/\u001b\[[0-9;]*m/g, "");
  if (grep === "") return plain;
  const at = plain.toLowerCase().indexOf(grep.toLowerCase());
  if (at < 0) return plain;
  return (
    <>
      {plain.slice(0, at)}
      <mark>{plain.slice(at, at + grep.length)}</mark>
      {plain.slice(at + grep.length)}
    </>
  );
}

/** The same pod has the same colour, everywhere and always. */
function hue(pod: string): number {
  let sum = 0;
  for (const character of pod) sum = (sum * 31 + character.charCodeAt(0)) % 9_973;
  return sum % 6;
}
