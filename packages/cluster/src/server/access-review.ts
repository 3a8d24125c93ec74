/** `kubectl auth can-i`: whoever holds the token of a local cluster may do everything. */

import { answerJson } from "./answer.ts";
import { contentType, decodeObject, readBody } from "./body.ts";
import { type Exchange, methodNotAllowed } from "./resources.ts";

export async function serveAccessReview({ request, response }: Exchange): Promise<void> {
  if (request.method !== "POST") throw methodNotAllowed();
  const { value: review } = decodeObject(await readBody(request), contentType(request));
  const status = { allowed: true, reason: "the token of a local cluster allows everything" };
  answerJson(request, response, { ...review, status }, { status: 201 });
}
