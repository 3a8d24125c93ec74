/** What the command line asks of alerts: `POST /NAME` with JSON, beside what `../answers.ts` answers. */
import { type Clock, SlipwayError } from "@slipway/base";
import * as z from "zod";
import { takeGroup } from "../../observe/alerts/alertmanager.ts";
import type { Alerts } from "../../observe/alerts/alerts.ts";
import type { AlertsAnswer } from "../../server/api.ts";
import { alertsAnswer } from "../pages/alerts-port.ts";

const muteSchema = z.object({
  id: z.string().min(1).max(200),
  /** 0 ends it. */
  forMs: z.number().min(0),
  reason: z.string().max(1000),
  who: z.string().max(200),
});

export interface TestAnswer {
  readonly delivered: boolean;
  readonly text: string;
}

/** A type and not an interface, so that it is a record of handlers as well. */
export type AlertAnswers = {
  readonly alerts: () => Promise<AlertsAnswer>;
  readonly "alerts-mute": (body: unknown) => Promise<AlertsAnswer>;
  readonly "alerts-test": () => Promise<TestAnswer>;
  /** Alertmanager's webhook, which asks with the token of whoever serves this. */
  readonly alertmanager: (body: unknown) => Promise<object>;
};

/** `problem`: why there are none; `again`: how they are started when that is repaired. */
export function alertAnswers(
  alerts: Alerts | undefined,
  problem: string,
  clock: Pick<Clock, "now">,
  again: string,
): AlertAnswers {
  const here = (): Alerts => {
    if (alerts !== undefined) return alerts;
    throw new SlipwayError({
      code: "ALERTS_NONE",
      where: "alerts",
      message: `are not watched: ${problem}`,
      hint: `Once that is repaired, ${again}.`,
      exitCode: 3,
    });
  };
  return {
    alerts: async () => alertsAnswer(here().standing()),
    "alerts-mute": async (body) => {
      const { id, forMs, reason, who } = muteSchema.parse(body);
      await here().mute(id, forMs, reason, who);
      return alertsAnswer(here().standing());
    },
    "alerts-test": () => here().test(),
    async alertmanager(body) {
      const reason = await takeGroup(here(), body, clock.now());
      if (reason === undefined) return {};
      throw new SlipwayError({ code: "ALERTMANAGER_PAYLOAD", where: "alertmanager", message: reason });
    },
  };
}
