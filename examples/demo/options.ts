/** What stands behind `npm run demo --`. */
import { parseArgs } from "node:util";
import { SlipwayError } from "@slipway/base";

const SABOTAGES = ["no-prestop", "no-retry", "no-drain"] as const;
export type Sabotage = (typeof SABOTAGES)[number];

export const USAGE = `npm run demo                             the whole story; exit code 0 only if all of it went as it must
npm run demo -- --keep                   leaves the world up, with its URLs and a KUBECONFIG
npm run demo -- --sabotage no-prestop    takes away one thing that makes it lossless (also no-retry, no-drain):
                                         must end non-zero, with failed requests counted
`;

export interface DemoOptions {
  readonly keep: boolean;
  readonly help: boolean;
  readonly sabotage: Sabotage | undefined;
}

/** Throws DEMO_USAGE. */
export function readOptions(words: readonly string[]): DemoOptions {
  const { keep = false, help = false, sabotage } = parse(words);
  const known = SABOTAGES.find((one) => one === sabotage);
  if (sabotage !== undefined && known === undefined)
    throw usage(`no "${sabotage}"`, `--sabotage is one of ${SABOTAGES.join(", ")}.`);
  return { keep, help, sabotage: known };
}

function parse(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      options: { keep: { type: "boolean" }, help: { type: "boolean" }, sabotage: { type: "string" } },
    }).values;
  } catch (error) {
    // Node's own words name the option, and go on with advice about `--` that does not apply.
    throw usage((error as Error).message.split(/\.\s/)[0] as string, "See npm run demo -- --help.");
  }
}

const usage = (message: string, hint: string): SlipwayError =>
  new SlipwayError({ code: "DEMO_USAGE", where: "demo", message, hint, exitCode: 2 });
