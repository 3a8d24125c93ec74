/** Incidents as messages of `notify`: in Slack, or printed where there is none. */

import type { IncidentMessage, IncidentRef } from "../../notify/message.ts";
import type { Telling } from "../../notify/notify.ts";
import type { Teller } from "../../observe/alerts/alerts.ts";
import type { Story } from "../../observe/alerts/story.ts";

export interface TellerOptions {
  readonly telling: Telling;
  readonly service: string;
  readonly environment: string;
  /** Of the dashboard, once there is one. */
  readonly link: () => string | undefined;
}

export function tellerOf({ telling, service, environment, link }: TellerOptions): Teller {
  const { notifier } = telling;
  const refOf = (incident: string): IncidentRef => ({ service, environment, incident });
  return {
    name: notifier.name,
    edits: telling.kind === "bot",
    show: (id, story, at) => notifier.show(refOf(id), messageOf(refOf(id), story, link()), at),
    add: (id, key, title) => notifier.add(refOf(id), key, { title, text: "", code: undefined }),
    async delivery(id) {
      if (telling.kind === "printed") return { delivered: true, problem: undefined };
      const message = (await telling.notifier.known(refOf(id)))?.message;
      return { delivered: message?.shown !== undefined, problem: message?.givenUp ?? message?.problem };
    },
  };
}

export function messageOf(about: IncidentRef, story: Story, link: string | undefined): IncidentMessage {
  const { service, environment, incident } = about;
  const { state, severity, title, since, facts, samples, rollback } = story;
  return {
    kind: "incident",
    ...{ state, severity, title, since, samples, link },
    facts: facts.map(({ name, value }) => ({ label: name, value })),
    command: rollback === undefined ? undefined : `slipway rollback ${rollback.to} --env ${environment}`,
    actions:
      rollback === undefined
        ? []
        : [
            {
              kind: "roll-back",
              on: { service, environment, number: rollback.leaves },
              to: rollback.to,
              incident,
            },
          ],
  };
}
