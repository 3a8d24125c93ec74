/** Answers in the shape of the distribution specification: `{"errors":[{"code","message","detail"}]}`. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { SlipwayError } from "@slipway/base";

/** `code` is one of the specification's; `status` the HTTP status. */
export class RegistryError extends Error {
  override readonly name = "RegistryError";
  readonly status: number;
  readonly code: string;
  readonly headers: Readonly<Record<string, string>>;
  constructor(status: number, code: string, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.headers = headers;
  }
}

export async function sendError(
  request: IncomingMessage,
  response: ServerResponse,
  thrown: unknown,
): Promise<void> {
  const error = asRegistryError(thrown);
  if (response.headersSent) return void response.destroy(); // the status is out: only a broken body can tell
  // Closing a connection with unread bytes resets it, and the client would lose this answer with it.
  await discardBody(request);
  if (!request.complete) response.setHeader("Connection", "close");
  const body = JSON.stringify({ errors: [{ code: error.code, message: error.message, detail: null }] });
  response.writeHead(error.status, {
    "Content-Type": "application/json",
    "Content-Length": Buffer.byteLength(body),
    ...error.headers,
  });
  response.end(request.method === "HEAD" ? undefined : body);
}

const MAX_DISCARDED = 64 * 1024 * 1024;

async function discardBody(request: IncomingMessage): Promise<void> {
  let discarded = 0;
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      discarded += (chunk as Buffer).byteLength;
      if (discarded > MAX_DISCARDED) return;
    }
  } catch {
    // The client is gone; there is nobody to answer.
  }
}

function asRegistryError(thrown: unknown): RegistryError {
  if (thrown instanceof RegistryError) return thrown;
  if (thrown instanceof SlipwayError) {
    switch (thrown.code) {
      case "IMAGE_DIGEST_INVALID":
      case "IMAGE_DIGEST_MISMATCH":
        return new RegistryError(400, "DIGEST_INVALID", thrown.message);
      case "IMAGE_TAG_TAKEN":
        return new RegistryError(403, "DENIED", thrown.message);
      case "IMAGE_BLOB_MISSING":
        return new RegistryError(404, "BLOB_UNKNOWN", thrown.message);
    }
  }
  return new RegistryError(500, "UNKNOWN", thrown instanceof Error ? thrown.message : String(thrown));
}
