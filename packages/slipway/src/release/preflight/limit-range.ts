/**
 * LimitRanges: the defaults that the API server writes into a pod at its creation, and the bounds that it refuses a pod
 * for. Follows the admission plugin LimitRanger of 1.20 to 1.33, in the same order: a limit without a request is one,
 * then defaults, then bounds. Volumes' bounds are left to the dry run of their claims.
 */
import { amountOf, requestsOf } from "@slipway/cluster/scheduling";
import type { AnyObject, Container, Pod, PodSpec, Quantity } from "@slipway/kube";
import { limitsOfPod, show } from "./amounts.ts";
import type { RawFinding } from "./finding.ts";

type Quantities = Readonly<Record<string, Quantity>>;

interface Item {
  readonly type: string;
  readonly default?: Quantities;
  readonly defaultRequest?: Quantities;
  readonly min?: Quantities;
  readonly max?: Quantities;
  readonly maxLimitRequestRatio?: Quantities;
}

function itemsOf(ranges: readonly AnyObject[], namespace: string): readonly { range: string; item: Item }[] {
  return ranges
    .filter(({ metadata }) => metadata.namespace === namespace)
    .flatMap((range) =>
      ((range["spec"] as { limits?: readonly Item[] } | undefined)?.limits ?? []).map((item) => ({
        range: range.metadata.name,
        item,
      })),
    );
}

/** The pod spec as the API server will store it: what a quota, a node and the bounds below count. */
export function withDefaults(spec: PodSpec, ranges: readonly AnyObject[], namespace: string): PodSpec {
  const defaults = itemsOf(ranges, namespace).filter(({ item }) => item.type === "Container");
  const complete = (container: Container): Container => {
    const limits = { ...container.resources?.limits };
    const requests = { ...limits, ...container.resources?.requests };
    for (const { item } of defaults) {
      for (const [name, value] of Object.entries(item.default ?? {})) limits[name] ??= value;
      for (const [name, value] of Object.entries(item.defaultRequest ?? {})) requests[name] ??= value;
    }
    if (Object.keys(limits).length + Object.keys(requests).length === 0) return container;
    return { ...container, resources: { ...container.resources, limits, requests } };
  };
  return {
    ...spec,
    containers: spec.containers.map(complete),
    ...(spec.initContainers === undefined ? {} : { initContainers: spec.initContainers.map(complete) }),
  };
}

/** @param spec with defaults */
export function checkLimitRanges(
  object: AnyObject,
  spec: PodSpec,
  ranges: readonly AnyObject[],
): readonly RawFinding[] {
  const namespace = object.metadata.namespace ?? "default";
  const pod: Pod = { apiVersion: "v1", kind: "Pod", metadata: { name: object.metadata.name }, spec };
  return itemsOf(ranges, namespace).flatMap(({ range, item }) => {
    const told = (place: string, problem: string): RawFinding => ({
      code: "LIMIT_RANGE",
      object,
      ...(place === "" ? {} : { place }),
      message: `LimitRange "${range}": ${problem}`,
    });
    if (item.type === "Pod") {
      const requests = requestsOf(pod);
      const limits = limitsOfPod(pod);
      return problems(item, "the pod", {
        request: (name) => requests.get(name),
        limit: (name) => limits.get(name),
      }).map((problem) => told("", problem));
    }
    if (item.type !== "Container") return [];
    return [...spec.containers, ...(spec.initContainers ?? [])].flatMap((container) => {
      const of = (list: Quantities | undefined, name: string): number | undefined =>
        list?.[name] === undefined ? undefined : amountOf(name, list[name]);
      return problems(item, "a container", {
        request: (name) => of(container.resources?.requests, name),
        limit: (name) => of(container.resources?.limits, name),
      }).map((problem) => told(`containers/${container.name}`, problem));
    });
  });
}

interface Amounts {
  request(name: string): number | undefined;
  limit(name: string): number | undefined;
}

function problems(item: Item, whose: string, { request, limit }: Amounts): readonly string[] {
  const found: string[] = [];
  const of = (name: string, quantity: Quantity): number => amountOf(name, quantity);
  for (const [name, least] of Object.entries(item.min ?? {})) {
    const asked = request(name);
    const most = limit(name);
    if (asked === undefined)
      found.push(`${whose} must request at least ${least} ${name}, and states nothing`);
    else if (asked < of(name, least))
      found.push(`${whose} must request at least ${least} ${name}, and requests ${show(name, asked)}`);
    if (most !== undefined && most < of(name, least))
      found.push(`${whose} may not have less than ${least} ${name}, and its limit is ${show(name, most)}`);
  }
  for (const [name, most] of Object.entries(item.max ?? {})) {
    const own = limit(name);
    const asked = request(name);
    if (own === undefined) found.push(`${whose} needs a limit of at most ${most} ${name}, and states none`);
    else if (own > of(name, most))
      found.push(`${whose} may have at most ${most} ${name}, and its limit is ${show(name, own)}`);
    if (asked !== undefined && asked > of(name, most))
      found.push(`${whose} may have at most ${most} ${name}, and requests ${show(name, asked)}`);
  }
  for (const [name, ratio] of Object.entries(item.maxLimitRequestRatio ?? {})) {
    const [asked, own] = [request(name), limit(name)];
    if (asked === undefined || own === undefined || asked === 0)
      found.push(`${whose} needs a request and a limit of ${name}, at most ${ratio} times apart`);
    else if (own / asked > Number(ratio))
      found.push(
        `${name}: the limit may be at most ${ratio} times the request, and is ${Math.round((own / asked) * 100) / 100} times`,
      );
  }
  return found;
}
