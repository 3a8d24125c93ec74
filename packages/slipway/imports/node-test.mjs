import { load } from "./load.mjs";

export const { builtImages, checks } = load("verify/node-test/node-test");
