/** What runs where: nodes, pods and what they use, and what the cluster itself says. */
import { useState } from "react";
import type { ClustersAnswer } from "../live/api.ts";
import { useLive } from "../live/store.ts";
import { useAnswer } from "../live/use-answer.ts";
import { Ago } from "../parts/ago.tsx";
import { Badge } from "../parts/badge.tsx";
import { Choice } from "../parts/choice.tsx";
import { Answered, Empty } from "../parts/state.tsx";
import { setParameters, useRoute } from "../shell/use-route.ts";
import { many } from "../words/headline.ts";
import { bytes, cores, percent } from "../words/units.ts";

type Cluster = ClustersAnswer["clusters"][number];
type Pod = Cluster["pods"][number];

export function ClusterPage() {
  const committed = useLive((live) => live.committed);
  const answer = useAnswer<ClustersAnswer>("/api/clusters", committed, 3_000);
  const { parameters } = useRoute();
  return (
    <div className="page">
      <Answered answer={answer} what="the clusters">
        {({ clusters }) => {
          const chosen = parameters["cluster"] ?? "";
          const shown = clusters.filter(({ name }) => chosen === "" || name === chosen);
          return (
            <>
              <header className="page-head">
                <h1>Cluster</h1>
                {clusters.length < 2 ? null : (
                  <Choice
                    label="Cluster"
                    value={chosen}
                    options={[
                      { value: "", text: "All" },
                      ...clusters.map(({ name }) => ({ value: name, text: name })),
                    ]}
                    onChoose={(cluster) => setParameters({ cluster })}
                  />
                )}
              </header>
              {clusters.length === 0 ? (
                <Empty title="No cluster is configured">
                  <code>slipway local up</code> makes those of the configuration on this machine.
                </Empty>
              ) : (
                shown.map((cluster) => <One key={cluster.name} cluster={cluster} />)
              )}
            </>
          );
        }}
      </Answered>
    </div>
  );
}

function One({ cluster }: { readonly cluster: Cluster }) {
  const { name, reachable, nodes, pods, events, resources } = cluster;
  const sorted = pods.toSorted(
    (a, b) => Number(a.ready) - Number(b.ready) || b.restarts - a.restarts || a.name.localeCompare(b.name),
  );
  return (
    <section className="cluster">
      <h2>
        {name}{" "}
        <small>
          {reachable
            ? `${many(nodes.length, "node")}, ${pods.filter(({ ready }) => ready).length} of ${many(pods.length, "pod")} ready`
            : "does not answer"}
        </small>
      </h2>
      {!reachable ? (
        <Empty title="This cluster does not answer">
          It is asked again all the time. <code>kubectl --context {name} get nodes</code> says whether your
          access or the cluster is at fault.
        </Empty>
      ) : (
        <>
          <ul className="nodes">
            {nodes.map(({ name, ready, version }) => (
              <li key={name}>
                <Badge word={ready ? "ready" : "not-ready"} tone={ready ? "good" : "bad"} /> {name}{" "}
                <span className="muted">{version}</span>
              </li>
            ))}
          </ul>
          {pods.length === 0 ? (
            <Empty title="No pods">Nothing is released here yet.</Empty>
          ) : (
            <Pods pods={sorted} cluster={name} />
          )}
          <p className="fine">
            {["sandbox", "prometheus", "metrics.k8s.io"].includes(resources)
              ? `Processor time and memory come from ${resources}.`
              : `No processor time and memory: ${resources}.`}
          </p>
          <Events events={events} />
        </>
      )}
    </section>
  );
}

function Pods({ pods, cluster }: { readonly pods: readonly Pod[]; readonly cluster: string }) {
  const mostCpu = Math.max(0.001, ...pods.map(({ cpu }) => cpu ?? 0));
  return (
    <table className="cards">
      <thead>
        <tr>
          <th scope="col">Pod</th>
          <th scope="col">State</th>
          <th scope="col">Node</th>
          <th scope="col" className="number">
            Restarts
          </th>
          <th scope="col" className="number">
            Started
          </th>
          <th scope="col">Processor</th>
          <th scope="col">Memory</th>
        </tr>
      </thead>
      <tbody>
        {pods.map((pod) => (
          <tr key={`${pod.namespace}/${pod.name}`}>
            <th scope="row">
              <a
                href={`#/logs?cluster=${encodeURIComponent(cluster)}&pod=${encodeURIComponent(pod.name)}`}
                data-row
                title={`${pod.namespace}/${pod.name}`}
              >
                <code>{pod.name}</code>
              </a>
            </th>
            <td data-label="State">
              <Badge
                word={pod.ready ? "ready" : pod.phase === "Running" ? "not-ready" : pod.phase.toLowerCase()}
                tone={pod.ready ? "good" : pod.phase === "Succeeded" ? "quiet" : "bad"}
              />
            </td>
            <td data-label="Node">{pod.node}</td>
            <td data-label="Restarts" className={`number ${pod.restarts > 0 ? "warn" : ""}`}>
              {pod.restarts}
              {pod.lastHour?.outOfMemory === true ? <span className="warn"> out of memory</span> : null}
            </td>
            <td data-label="Started" className="number">
              {pod.startedAt === undefined ? "–" : <Ago at={pod.startedAt} />}
            </td>
            <td data-label="Processor">
              {pod.cpu === undefined ? (
                "–"
              ) : (
                <Meter share={pod.cpu / mostCpu} text={cores(pod.cpu)}>
                  {pod.throttled !== undefined && pod.throttled > 0.05 ? (
                    <span className="warn"> held back {percent(pod.throttled)}</span>
                  ) : null}
                </Meter>
              )}
            </td>
            <td data-label="Memory">
              {pod.memory === undefined ? (
                "–"
              ) : (
                <Meter
                  share={pod.memoryLimit === undefined ? 0 : pod.memory / pod.memoryLimit}
                  isHigh={pod.memoryLimit !== undefined && pod.memory > pod.memoryLimit * 0.9}
                  text={`${bytes(pod.memory)}${pod.memoryLimit === undefined ? "" : ` of ${bytes(pod.memoryLimit)}`}`}
                />
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Meter({
  share,
  text,
  isHigh = false,
  children,
}: {
  readonly share: number;
  /** Close to what it may have. */
  readonly isHigh?: boolean;
  readonly text: string;
  readonly children?: React.ReactNode;
}) {
  return (
    <span className={`meter ${isHigh ? "high" : ""}`}>
      <i aria-hidden="true">
        <i style={{ width: `${Math.min(1, share) * 100}%` }} />
      </i>
      <span>
        {text}
        {children}
      </span>
    </span>
  );
}

const mostEvents = 8;

function Events({ events }: Pick<Cluster, "events">) {
  const [isWhole, setIsWhole] = useState(false);
  if (events.length === 0) return null;
  const newest = events.toSorted((a, b) => b.at - a.at);
  // Warnings are what somebody looks for; the rest is how things go.
  const warnings = newest.filter(({ type }) => type === "Warning");
  const shown = isWhole
    ? newest
    : [...warnings, ...newest.filter(({ type }) => type !== "Warning")].slice(0, mostEvents);
  return (
    <>
      <h3>Events</h3>
      <ul className="plain-list events">
        {shown.map(({ at, type, reason, object, message, count }) => (
          <li key={`${at}/${object}/${reason}/${message}`}>
            <Badge word={reason} tone={type === "Warning" ? "warn" : "quiet"} />
            <span title={message}>
              <code>{object}</code> {withoutDigests(message)}
              {count > 1 ? ` (${count} times)` : ""}{" "}
              <span className="muted">
                <Ago at={at} />
              </span>
            </span>
          </li>
        ))}
      </ul>
      {newest.length > mostEvents ? (
        <button type="button" onClick={() => setIsWhole(!isWhole)}>
          {isWhole ? "Fewer" : `All ${newest.length} events`}
        </button>
      ) : null}
    </>
  );
}

/** Seven characters of a digest are enough to tell two images apart. */
function withoutDigests(message: string): string {
  return message.replaceAll(/(sha256:[0-9a-f]{7})[0-9a-f]{57}/g, "$1…");
}
