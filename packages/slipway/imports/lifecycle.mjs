import { load } from "./load.mjs";

export const { drainOnSignal } = load("lifecycle/lifecycle");
