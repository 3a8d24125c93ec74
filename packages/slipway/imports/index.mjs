import { load } from "./load.mjs";

export const { bucket, context, defineConfig, defineDashboard, local, service } = load("index");
