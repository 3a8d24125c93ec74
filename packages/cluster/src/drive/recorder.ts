/**
 * Writes Events as Kubernetes' recorder does: what repeats (same object, source, reason, message) is one Event
 * whose count and lastTimestamp rise, not many Events.
 */
import { type Api, type Event, isReason, type ObjectReference, StatusError } from "@slipway/kube";
import { timestamp } from "../controllers/reference.ts";

export interface EventFacts {
  readonly about: ObjectReference;
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
}

export interface EventRecorder {
  record(facts: EventFacts): void;
}

/** Messages beyond this are cut, as the API would refuse them. */
const MAX_MESSAGE_BYTES = 1024;
/** How many distinct Events are remembered for counting; client-go's cache holds as many. */
const MAX_REMEMBERED = 4096;

export function createRecorder(options: {
  readonly api: Api;
  readonly now: () => number;
  readonly component: string;
  readonly host?: string;
}): EventRecorder {
  const { api, now, component, host } = options;
  const names = new Map<string, { namespace: string; name: string }>();
  let sequence = 0;

  /**
   * Kubernetes names them by object and nanoseconds. A sequence keeps two of one millisecond apart, and a name that another
   * recorder has given is passed over: the scheduler and the kubelet tell of one pod in the same millisecond.
   */
  const freeName = (of: string, namespace: string): string => {
    for (;;) {
      sequence += 1;
      const suffix = (BigInt(Math.trunc(now())) * 1_000_000n + BigInt(sequence % 1_000_000)).toString(16);
      const name = `${of}.${suffix}`;
      if (api.store.get("Event", namespace, name) === undefined) return name;
    }
  };

  const record = ({ about, type, reason, message }: EventFacts): void => {
    const text = message.slice(0, MAX_MESSAGE_BYTES);
    const key = [
      about.kind,
      about.namespace,
      about.name,
      about.uid,
      about.fieldPath,
      type,
      reason,
      text,
    ].join("\0");
    const known = names.get(key);
    const at = timestamp(now());
    if (known !== undefined) {
      const old = api.store.get("Event", known.namespace, known.name);
      if (old !== undefined) {
        api.replace({ ...old, count: (old.count ?? 1) + 1, lastTimestamp: at } as Event);
        return;
      }
    }
    // Cluster-scoped objects have their events in `default`.
    const namespace = about.namespace === undefined || about.namespace === "" ? "default" : about.namespace;
    const name = freeName(about.name ?? "unknown", namespace);
    const event: Event = {
      apiVersion: "v1",
      kind: "Event",
      metadata: { name, namespace },
      involvedObject: about,
      reason,
      message: text,
      type,
      source: { component, ...(host === undefined ? {} : { host }) },
      firstTimestamp: at,
      lastTimestamp: at,
      eventTime: null,
      count: 1,
      reportingComponent: component,
      reportingInstance: host ?? "",
    };
    api.create(event);
    names.set(key, { namespace, name });
    if (names.size > MAX_REMEMBERED) names.delete(names.keys().next().value as string);
  };

  return {
    record(facts) {
      try {
        record(facts);
      } catch (error) {
        // An event is a courtesy: a namespace that is going away refuses it, and nothing else should fail for that.
        if (!(error instanceof StatusError) || isReason(error, "InternalError")) throw error;
      }
    },
  };
}
