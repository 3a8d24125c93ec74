/** Names of services in a spec file against those of the Compose file: before anything is built, and not after a start. */
import { nearest, SlipwayError } from "@slipway/base";

export interface NamedService {
  readonly service: string;
  /** Where the spec file names it. */
  readonly place: string;
}

/** Throws VERIFY_SPEC_INVALID (exit 2). `inactive`: services of profiles that were not chosen, with those. */
export function checkNames(
  named: readonly NamedService[],
  services: readonly string[],
  inactive: ReadonlyMap<string, readonly string[]>,
): void {
  for (const { service, place } of named) {
    if (services.includes(service)) continue;
    const profiles = inactive.get(service);
    if (profiles !== undefined) {
      const list = profiles.map((one) => `"${one}"`).join(", ");
      const hint = `Give describeCompose one of its profiles (profiles: [${list}]), or leave it out.`;
      throw invalid(place, `service "${service}" is of a profile that is not chosen`, hint);
    }
    const near = nearest(service, services);
    const hint = near === undefined ? "Name a service of the Compose file." : `Did you mean "${near}"?`;
    throw invalid(place, `there is no service "${service}"; there are ${services.join(", ")}`, hint);
  }
}

function invalid(where: string, message: string, hint: string): SlipwayError {
  return new SlipwayError({ code: "VERIFY_SPEC_INVALID", where, message, hint, exitCode: 2 });
}
