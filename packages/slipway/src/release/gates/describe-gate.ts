/** What a gate asks for, as a sentence for a plan. Pure. */
import { assertNever, shellLine } from "@slipway/base";
import type { GateConfig } from "../../config/types.ts";

export function describeGate(gate: GateConfig): string {
  switch (gate.kind) {
    case "http": {
      const body = gate.body === undefined ? "" : `, "${gate.body}" in its body`;
      const headers = Object.entries(gate.headers).map(([name, value]) =>
        value === "" ? `, the header ${name}` : `, ${name}: ${value}`,
      );
      const times = gate.attempts === 1 ? "" : `, ${gate.attempts} times in a row`;
      return `${gate.url} answers ${gate.status}${body}${headers.join("")}${times}`;
    }
    case "error-ratio": {
      const where = gate.service === undefined ? "" : ` of ${gate.service}`;
      const percent = Number((gate.maxIncrease * 100).toPrecision(6));
      const slower =
        gate.p95 === undefined
          ? ""
          : `, and their p95 is at most ${Number((gate.p95.maxIncrease * 100).toPrecision(6))} % longer`;
      return `the new pods${where} fail at most ${percent} % more of ${gate.minRequests} requests than the old ones${slower}`;
    }
    case "prometheus":
      return `${oneLine(gate.query)} ${gate.expect.operator} ${gate.expect.value}, asked of ${gate.url}`;
    case "command":
      return `${oneLine(shellLine(gate.command))} ends with exit code 0`;
    case "approval":
      return "a person says yes: slipway release approve";
    default:
      return assertNever(gate);
  }
}

/** A query or a script may have many lines, and a plan has one for it. */
function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim();
}
