/** `GET …/pods/x/log`: the log as plain text, streamed as it comes. */
import { once } from "node:events";
import type { Clock } from "@slipway/base";
import { type Api, badRequest, type LogOptions, type Pod } from "@slipway/kube";
import { chooseContainer, requireLog } from "./containers.ts";
import type { PodStreams } from "./pods.ts";
import { boolean, integer, type ResourcePath } from "./request.ts";
import type { Exchange } from "./resources.ts";

/**
 * How long the first bytes may take before the headers are sent without them. Until then an error can still be
 * answered as such; afterwards a client that follows a silent container must at least know that it is connected.
 */
const HEADERS_AFTER_MS = 100;

export async function serveLogs(
  context: {
    readonly api: Api;
    readonly pods: PodStreams;
    readonly clock: Clock;
    readonly closing: AbortSignal;
  },
  { request, response, query }: Exchange,
  path: ResourcePath,
): Promise<void> {
  const { namespace = "", name = "" } = path;
  const pod = context.api.get({ ...path.ref, namespace, name }) as Pod;
  const container = chooseContainer(pod, query.get("container"));
  const options = logOptions(query);
  if (pod.spec.nodeName !== undefined && pod.spec.nodeName !== "") {
    requireLog(pod, container, options.previous === true);
  }
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  const signal = AbortSignal.any([gone.signal, context.closing]);

  const isScheduled = pod.spec.nodeName !== undefined && pod.spec.nodeName !== "";
  // A pod without a node has no log and no error either: Kubernetes answers nothing.
  const chunks = isScheduled
    ? context.pods.logs({ namespace, name }, { ...options, container, signal })[Symbol.asyncIterator]()
    : undefined;
  let next = chunks?.next();
  await Promise.race([next, context.clock.sleep(HEADERS_AFTER_MS, signal).catch(() => undefined)]);
  response.writeHead(200, {
    "Cache-Control": "no-cache, private",
    "Content-Type": "text/plain",
    "Transfer-Encoding": "chunked",
  });
  response.flushHeaders();
  try {
    while (next !== undefined && chunks !== undefined) {
      const { done, value } = await next;
      if (done === true || signal.aborted) break;
      if (!response.write(value)) await once(response, "drain", { signal });
      next = chunks.next();
    }
    response.end();
  } catch (error) {
    if (!signal.aborted) throw error;
    response.end();
  } finally {
    await chunks?.return?.();
    request.resume();
  }
}

function logOptions(query: URLSearchParams): LogOptions {
  const tailLines = integer(query, "tailLines");
  const sinceSeconds = integer(query, "sinceSeconds");
  const limitBytes = integer(query, "limitBytes");
  const sinceTime = query.get("sinceTime");
  if (tailLines !== undefined && tailLines < 0)
    throw badRequest("tailLines: must be greater than or equal to 0");
  if (limitBytes !== undefined && limitBytes < 1) throw badRequest("limitBytes: must be greater than 0");
  if (sinceSeconds !== undefined && sinceSeconds < 1)
    throw badRequest("sinceSeconds: must be greater than 0");
  if (sinceSeconds !== undefined && sinceTime) {
    throw badRequest("at most one of `sinceTime` or `sinceSeconds` may be specified");
  }
  if (sinceTime && Number.isNaN(Date.parse(sinceTime))) {
    throw badRequest(`sinceTime: ${JSON.stringify(sinceTime)} is not a time of RFC 3339`);
  }
  return {
    follow: boolean(query, "follow"),
    previous: boolean(query, "previous"),
    timestamps: boolean(query, "timestamps"),
    ...(tailLines === undefined ? {} : { tailLines }),
    ...(sinceSeconds === undefined ? {} : { sinceSeconds }),
    ...(limitBytes === undefined ? {} : { limitBytes }),
    ...(sinceTime ? { sinceTime } : {}),
  };
}
