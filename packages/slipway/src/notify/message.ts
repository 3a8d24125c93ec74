/**
 * What a notification says, free of any vendor: one message that follows a release or an incident, with details beside it.
 * `slack/blocks.ts` turns it into Block Kit, `printed.ts` into text.
 */
export interface ReleaseMessage {
  readonly state: "running" | "healthy" | "failed" | "rolled-back" | "unknown" | "interrupted";
  /** `shop: release 3 failed and was rolled back`. */
  readonly title: string;
  /** The cause sentence and its cluster, on top when there is one. */
  readonly cause: string | undefined;
  /** Label and value: commit, author, environment, duration. */
  readonly facts: readonly { readonly label: string; readonly value: string }[];
  /** One line per cluster, in the order of the waves. */
  readonly clusters: readonly ClusterLine[];
  /** Gates between the waves and hooks around them, in the order they began. */
  readonly checks?: readonly CheckLine[] | undefined;
  /** Whom to mention: who wrote the commit. */
  readonly author?: Author | undefined;
  /** What a reader can do about it. Only what would have an effect now; empty once it would have none. */
  readonly actions?: readonly ReleaseAction[] | undefined;
}

export interface ClusterLine {
  readonly name: string;
  /** From 0. */
  readonly wave: number;
  readonly mark: ClusterMark;
  readonly text: string;
}

export interface CheckLine {
  /** `gate error-ratio (wave 1)`, `hook migrate (tokyo)`. */
  readonly name: string;
  readonly mark: ClusterMark;
  readonly text: string;
}

export type ClusterMark = "waiting" | "running" | "baking" | "healthy" | "failed" | "unknown" | "rolled-back";

export interface Author {
  readonly name: string;
  readonly email?: string | undefined;
}

/** Something that is wrong with a service. The same message until it is over, so whoever looks later sees how it went. */
export interface IncidentMessage {
  readonly kind: "incident";
  readonly state: "firing" | "no-data" | "muted" | "resolved";
  readonly severity: "page" | "ticket" | "info";
  /** `web: 98 % of requests fail (5xx)`. */
  readonly title: string;
  /** `since release 12, 4 min ago`. */
  readonly since: string | undefined;
  readonly facts: readonly { readonly label: string; readonly value: string }[];
  /** Redacted lines of the log, shown as code. */
  readonly samples: readonly string[];
  /** Of the dashboard, where there is one. */
  readonly link: string | undefined;
  /** What to type where there are no buttons. */
  readonly command: string | undefined;
  readonly author?: undefined;
  readonly actions?: readonly ReleaseAction[] | undefined;
}

export type Message = ReleaseMessage | IncidentMessage;

export function isIncident(content: Message | DetailMessage): content is IncidentMessage {
  return "kind" in content && content.kind === "incident";
}

/** A button. It names what it was made for, so that pressed late it does just that, or says why not. */
export type ReleaseAction =
  | {
      readonly kind: "roll-back";
      readonly on: ReleaseRef;
      readonly to: number;
      /** Id of the incident whose message it stands on; what comes of it is told there. */
      readonly incident?: string | undefined;
    }
  | { readonly kind: "hold"; readonly on: ReleaseRef };

export interface ReleaseRef {
  readonly service: string;
  readonly environment: string;
  readonly number: number;
}

/** `shop/production/7`: names the release's message wherever messages are kept. */
export function releaseId({ service, environment, number }: ReleaseRef): string {
  return `${service}/${environment}/${number}`;
}

export interface IncidentRef {
  readonly service: string;
  readonly environment: string;
  readonly incident: string;
}

/** What a message is about. */
export type Subject = ReleaseRef | IncidentRef;

/** `shop/production/7`, `shop/production/incident-3fe91c`: names the message wherever messages are kept. */
export function subjectId(subject: Subject): string {
  if ("number" in subject) return releaseId(subject);
  return `${subject.service}/${subject.environment}/incident-${subject.incident}`;
}

/** Details that belong under the message: evidence, what to do. */
export interface DetailMessage {
  readonly title: string;
  readonly text: string;
  /** Shown as code. */
  readonly code: string | undefined;
  /** Set where the author should look. */
  readonly author?: Author | undefined;
}

/** The state and the buttons of a message in one word, by which an outdated one is told from a current one. */
export function standing(message: Pick<Message, "state" | "actions">): string {
  return [message.state, ...(message.actions ?? []).map(({ kind }) => kind)].join("+");
}
