/** Who a release says began it. */
import { userInfo } from "node:os";

export function whoAmI(env: NodeJS.ProcessEnv): string {
  if (env["SLIPWAY_WHO"] !== undefined) return env["SLIPWAY_WHO"];
  try {
    return userInfo().username;
  } catch {
    return env["USER"] ?? "unknown";
  }
}
