/** What `slipway compose up` says: lines with the service's name in front, or one JSON document a line. */
import type { StepOutput } from "../steps.ts";

const COLOURS = [36, 33, 32, 35, 34, 96, 93, 92, 95, 94];

export interface Printer {
  log(service: string, stream: "stdout" | "stderr", line: string): void;
  /** What happened to a service, or to all. */
  tell(event: string, text: string, facts: Readonly<Record<string, unknown>>): void;
}

export function createPrinter(
  output: StepOutput,
  services: readonly string[],
  options: { readonly isColoured: boolean },
): Printer {
  const width = Math.max(...services.map((name) => name.length));
  const prefix = (service: string): string => {
    const padded = `${service.padEnd(width)} |`;
    const colour = COLOURS[services.indexOf(service) % COLOURS.length];
    return options.isColoured ? `\u001b[${colour}m${padded}\u001b[0m` : padded;
  };
  return {
    log(service, stream, line) {
      output.emit({ event: "log", service, stream, line });
      output.say(`${prefix(service)} ${line}`);
    },
    tell(event, text, facts) {
      output.emit({ event, ...facts });
      output.say(text);
    },
  };
}
