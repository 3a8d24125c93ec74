/** Where the built pages are: data, so beside the sources, also for a bundle of them. */
import { join } from "node:path";

export const PAGES_FOLDER = join(import.meta.dirname, "../../../../dashboard/dist");
