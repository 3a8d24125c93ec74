import { load } from "./load.mjs";

export const {
  contains,
  describeCluster,
  describeCompose,
  describeImage,
  describeService,
  empty,
  ready,
  stack,
} = load("verify/verify");
