/**
 * The client over an API in this process. It answers as a server over HTTP would: asynchronously, with frozen
 * objects, and a slow reader of a watch is never handed an event out of order.
 */
import type { Duplex } from "node:stream";
import { SlipwayError } from "@slipway/base";
import type { Api, ApiWriteOptions } from "../api/api.ts";
import { badRequest } from "../api/errors.ts";
import { parseResourceVersion } from "../api/list.ts";
import { watchSelected } from "../api/selection.ts";
import { apiVersionOf, resourceTypeOf } from "../resources/kinds.ts";
import type { KubeList, KubeObject } from "../resources/meta.ts";
import { KUBERNETES_VERSION } from "../version.ts";
import type {
  ClientWatchEvent,
  ExecOutcome,
  KubeClient,
  LogOptions,
  TypeRef,
  WatchOptions,
  WriteOptions,
} from "./client.ts";

/** What only a running pod can answer. A cluster provides it; without one, logs and exec are refused. */
export interface PodAccess {
  logs(
    pod: { readonly namespace: string; readonly name: string },
    options: LogOptions,
  ): AsyncIterable<Uint8Array>;
  exec(
    pod: { readonly namespace: string; readonly name: string },
    options: {
      readonly container?: string;
      readonly command: readonly string[];
      readonly stdin?: string;
      readonly signal?: AbortSignal;
    },
  ): Promise<ExecOutcome>;
  portForward(pod: { readonly namespace: string; readonly name: string }, port: number): Promise<Duplex>;
}

export interface MemoryClientOptions {
  readonly name: string;
  readonly api: Api;
  readonly pods?: PodAccess;
  /** What `version()` answers. Default `KUBERNETES_VERSION`. */
  readonly gitVersion?: string;
  /** Ends a watch after `timeoutSeconds`; without it, watches end by their signal alone. */
  readonly sleep?: (ms: number, signal?: AbortSignal) => Promise<void>;
}

export function createMemoryClient(options: MemoryClientOptions): KubeClient {
  const { api, name } = options;
  const closing = new AbortController();
  // Errors of the synchronous API become rejections.
  const answer = async <T>(work: () => KubeObject | KubeList): Promise<T> => {
    if (closing.signal.aborted) throw closedError(name);
    return work() as T;
  };
  return {
    name,
    version: async () => {
      const gitVersion = options.gitVersion ?? KUBERNETES_VERSION;
      const [major = "1", minor = "33"] = gitVersion.replace(/^v/, "").split(".");
      return { gitVersion, major, minor };
    },
    serves: async (type) => {
      if (closing.signal.aborted) throw closedError(name);
      const known = resourceTypeOf(type.kind);
      return known !== undefined && apiVersionOf(known) === type.apiVersion;
    },
    get: (ref) => answer(() => api.get(ref)),
    list: (type, listOptions) => answer(() => api.list(type, listOptions)),
    create: (object, write) => answer(() => api.create(object, write)),
    replace: (object, write) => answer(() => api.replace(object, withSubresource(write))),
    patch: (ref, type, body, write) => answer(() => api.patch(ref, type, body, withSubresource(write))),
    apply: (object, write) => answer(() => api.apply(object, write)),
    delete: async (ref, deleteOptions) => {
      if (closing.signal.aborted) throw closedError(name);
      api.delete(ref, deleteOptions);
    },
    watch: <T extends KubeObject>(type: TypeRef, watchOptions: WatchOptions = {}) =>
      watchEvents(options, type, watchOptions, closing.signal) as AsyncIterable<ClientWatchEvent<T>>,
    logs: (pod, logOptions = {}) => requirePods(options).logs(pod, logOptions),
    exec: async (pod, execOptions) => requirePods(options).exec(pod, execOptions),
    portForward: async (pod, port) => requirePods(options).portForward(pod, port),
    close: async () => closing.abort(),
  };
}

const SUBRESOURCES = ["status", "scale", "binding", "eviction", "finalize"] as const;

function withSubresource(options: WriteOptions & { readonly subresource?: string } = {}): ApiWriteOptions {
  const { subresource, ...rest } = options;
  if (subresource === undefined) return rest;
  const known = SUBRESOURCES.find((each) => each === subresource);
  if (known === undefined) throw badRequest(`the server does not know the subresource "${subresource}"`);
  return { ...rest, subresource: known };
}

/**
 * Events are queued here until the reader asks. With `allowBookmarks` a watch that ends by its timeout says first
 * how far it has come, as API servers do.
 */
async function* watchEvents(
  options: MemoryClientOptions,
  type: TypeRef,
  watchOptions: WatchOptions,
  closing: AbortSignal,
): AsyncGenerator<ClientWatchEvent> {
  const { store } = options.api;
  const { resourceVersion = "", timeoutSeconds, signal } = watchOptions;
  const queue: ClientWatchEvent[] = [];
  const ended = new AbortController();
  let wake = (): void => {};
  let isOver = false;
  const end = (): void => {
    isOver = true;
    wake();
  };
  const stop = (): void => {
    queue.length = 0;
    end();
  };
  const push = (event: ClientWatchEvent): void => {
    queue.push(event);
    wake();
  };

  const asked = parseResourceVersion(resourceVersion);
  const from = asked === 0 ? store.resourceVersion : asked;
  const { namespace: _all, ...everywhere } = watchOptions;
  const isNamespaced = resourceTypeOf(type.kind)?.namespaced === true;
  // Without a version a watch begins with what is there, as synthetic ADDED events.
  if (asked === 0) {
    for (const object of options.api.list(type, watchOptions).items) push({ type: "ADDED", object });
  }
  const selection = isNamespaced ? watchOptions : everywhere;
  const watch = watchSelected(store, type.kind, { ...selection, from }, push);
  for (const each of [signal, closing]) each?.addEventListener("abort", stop, { once: true });
  if (signal?.aborted || closing.aborted) stop();
  if (timeoutSeconds !== undefined && options.sleep !== undefined) {
    const { sleep } = options;
    const sayThenEnd = async (): Promise<void> => {
      // Two seconds before the end, as API servers do, so that the mark arrives before the end does.
      const beforeMs = Math.max(0, timeoutSeconds - 2) * 1000;
      await sleep(beforeMs, ended.signal);
      if (watchOptions.allowBookmarks === true) push(bookmark(type, store.resourceVersion));
      await sleep(timeoutSeconds * 1000 - beforeMs, ended.signal);
    };
    sayThenEnd().then(end, end);
  }
  try {
    for (;;) {
      const next = queue.shift();
      if (next !== undefined) yield next;
      else if (isOver) return;
      else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    watch.close();
    ended.abort();
    for (const each of [signal, closing]) each?.removeEventListener("abort", stop);
  }
}

/** A bookmark's object has nothing but its kind and the version. */
function bookmark({ apiVersion, kind }: TypeRef, version: number): ClientWatchEvent {
  return {
    type: "BOOKMARK",
    object: { apiVersion, kind, metadata: { name: "", resourceVersion: String(version) } },
  };
}

function requirePods({ pods, name }: MemoryClientOptions): PodAccess {
  if (pods !== undefined) return pods;
  throw new SlipwayError({
    code: "CLUSTER_WITHOUT_PODS",
    where: `clusters/${name}`,
    message: "this cluster has no running pods: its logs, exec and ports cannot be served",
    exitCode: 3,
  });
}

function closedError(name: string): SlipwayError {
  return new SlipwayError({
    code: "CLUSTER_UNREACHABLE",
    where: `clusters/${name}`,
    message: "the client is closed",
    exitCode: 3,
  });
}
