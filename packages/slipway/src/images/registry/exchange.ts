import type { IncomingMessage, ServerResponse } from "node:http";
import type { ImageLayout } from "../layout.ts";

/** What the handlers of one request share. */
export interface Exchange {
  readonly layout: ImageLayout;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: URLSearchParams;
  readonly repository: string;
  readonly hasImmutableTags: boolean;
}
