/** What a `slipway.config.ts` imports. */
export { bucket, type ConfigInput, context, defineConfig, local, service } from "./config/define.ts";
export type { Config } from "./config/types.ts";
export type { DashboardInput } from "./observe/queries/dashboards.ts";
export { defineDashboard } from "./observe/queries/define-dashboard.ts";
