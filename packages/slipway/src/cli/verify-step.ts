/** The checks of `slipway verify` and `slipway ship`: images before the push, the service after the deploy. */
import { ImageLayout } from "../images/layout.ts";
import type { CliContext } from "./command.ts";
import type { Project } from "./project.ts";
import type { BuildRecord, StepOutput } from "./steps.ts";

export async function verifyImages(
  _context: CliContext,
  _project: Project,
  _record: BuildRecord,
  _output: StepOutput,
): Promise<number> {
  return 0;
}

export async function verifyServices(
  _context: CliContext,
  _project: Project,
  _output: StepOutput,
): Promise<number> {
  return 0;
}
void ImageLayout;
