import type { DashboardInput } from "./dashboards.ts";

/**
 * Types a dashboard while you write it; returns it as it is.
 *
 * @example
 * export default defineDashboard({
 *   title: "Checkout",
 *   panels: [{ query: "response-times", title: "How fast", parameters: { service: "checkout", from: "-24h" } }],
 * });
 */
export function defineDashboard(dashboard: DashboardInput): DashboardInput {
  return dashboard;
}
