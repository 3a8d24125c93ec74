/** The checks of `slipway verify` and `slipway ship`: images before the push, the service after the deploy. */
import { bindSlipwayImports } from "../config/load.ts";
import { renderResults } from "../verify/report/text.ts";
import { runVerify, type ServiceAccess } from "../verify/run.ts";
import { callWorld } from "../world/control.ts";
import type { ServiceAnswer, ServiceRequest } from "../world/service-fetch.ts";
import type { WorldState } from "../world/state.ts";
import type { CliContext } from "./command.ts";
import type { Project } from "./project.ts";
import type { BuildRecord, StepOutput } from "./steps.ts";

export interface VerifyStepOptions {
  readonly only?: "image" | "service";
  readonly filter?: string | undefined;
  readonly allowUnknown?: boolean;
  readonly verbose?: boolean;
  /** Part of `ship`: no checks at all is fine there, and every image gets the built-in ones. */
  readonly isShip: boolean;
}

export async function verifyStep(
  context: CliContext,
  project: Project,
  record: BuildRecord,
  world: WorldState | undefined,
  output: StepOutput,
  options: VerifyStepOptions,
): Promise<number> {
  bindSlipwayImports();
  const report = await runVerify({
    files: project.config.verify,
    images: record.images,
    root: project.config.root,
    clock: context.clock,
    services: world === undefined ? undefined : serviceAccess(world, project.config.namespace),
    includeDefaults: options.isShip,
    ...(options.only === undefined ? {} : { only: options.only }),
    filter: options.filter,
    allowUnknown: options.allowUnknown ?? false,
  });
  if (options.isShip && report.results.length === 0) return 0;
  output.emit({ step: "verify", ...report });
  output.say(indent(renderResults(report, { isVerbose: options.verbose ?? false })));
  const hasLeak = report.results.some(
    ({ verdict, place, subject }) =>
      verdict === "fail" && place === "built-in" && subject.startsWith("files "),
  );
  if (hasLeak)
    output.say("  Keep such files out of the image with .dockerignore, or copy only what it needs.");
  return report.exitCode;
}

function serviceAccess(world: WorldState, namespace: string): ServiceAccess {
  return {
    async fetch(cluster, service, port, path, { method, headers, signal }) {
      signal.throwIfAborted();
      const wanted: ServiceRequest = {
        namespace,
        service,
        path,
        method,
        headers,
        timeoutMs: 5000,
        ...(cluster === undefined ? {} : { cluster }),
        ...(port === undefined ? {} : { port }),
      };
      const answer = await callWorld<ServiceAnswer>(world, "fetch", wanted);
      return {
        status: answer.status,
        headers: answer.headers,
        body: Buffer.from(answer.bodyBase64, "base64"),
      };
    },
  };
}

function indent(text: string): string {
  return text.trimEnd().replaceAll(/^/gm, "  ");
}
