/**
 * Where the built pages are. In a checkout they are built when they are missing or of older sources, about a second; in an
 * installed package they lie beside the program.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const here = import.meta.dirname;
const beside = join(here, "../../../dist/dashboard");
const builder = join(here, "../../../../dashboard/build/pages.ts");

/** Always a folder; without pages in it, and a line in the log, when they cannot be built. */
export async function pagesFolder(log: (line: string) => void): Promise<string> {
  // Only a checkout has this source.
  if (!existsSync(join(here, "folder.ts"))) return beside;
  // The address is made here, so that the builder, which needs Vite, becomes no part of a bundle.
  const { builtPages } = (await import(pathToFileURL(builder).href)) as { builtPages(): Promise<string> };
  try {
    return await builtPages();
  } catch (error) {
    log(error instanceof Error ? error.message : String(error));
    return join(here, "../../../../dashboard/dist");
  }
}
