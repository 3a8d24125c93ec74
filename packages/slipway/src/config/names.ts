/** How things may be called. */
import * as z from "zod";

export const name = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, "should be lower case letters, digits and dashes")
  // As a label's value, which the service's name becomes on every object.
  .max(63, "should have at most 63 characters");

/** As manifests write it, without tag: `web`, or `registry.example.com/team/web`. */
export const imageName = z
  .string()
  .regex(/^[a-z0-9]+(?:[._:/-]+[a-z0-9]+)*$/, "should be an image name as manifests write it, without a tag");
