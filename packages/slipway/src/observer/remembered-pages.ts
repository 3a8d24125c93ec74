/**
 * Port and token of the pages beside a local world, kept from one start to the next: a page that is open goes on, and a
 * link that was saved still leads there. Only the project's owner can read the file.
 */
import { readTextIfExists, writeAtomic } from "@slipway/base";

export interface RememberedPages {
  readonly port: number;
  readonly token: string;
}

/** Undefined when there is none, or none that we could have written. */
export async function readRememberedPages(file: string): Promise<RememberedPages | undefined> {
  try {
    const { port, token } = JSON.parse((await readTextIfExists(file)) ?? "{}") as Partial<RememberedPages>;
    const isOurs = typeof port === "number" && typeof token === "string" && token.length >= 16;
    return isOurs ? { port, token } : undefined;
  } catch {
    return undefined;
  }
}

export async function rememberPages(file: string, pages: RememberedPages): Promise<void> {
  await writeAtomic(file, `${JSON.stringify(pages)}\n`, 0o600);
}
