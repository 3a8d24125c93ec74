import { load } from "./load.mjs";

export const { contains, describeCluster, describeCompose, describeImage, describeService, empty, stack } =
  load("verify/verify");
