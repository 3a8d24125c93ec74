/** The one door to the contract with the server: types only, nothing of the server enters the bundle. */
export type * from "../../../slipway/src/server/api.ts";
