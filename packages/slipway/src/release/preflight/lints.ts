/**
 * What a manifest needs for a rollout that loses no request, and what makes it fragile. Advice, each with its reason; the
 * numbers come from measurements: kube-proxy and Ingress controllers follow an endpoint within about a second, 5 s is
 * safe; Google's load balancers take up to 40 s to leave a NEG endpoint (their knowledge base, kubernetes/ingress-gce#1718).
 *
 * Only pods that a Service of the release selects serve requests: the others need no preStop.
 */
import { limitsOf } from "@slipway/cluster/scheduling";
import {
  type AnyObject,
  type Container,
  type Deployment,
  matchesLabels,
  type PodSpec,
  type Probe,
} from "@slipway/kube";
import type { ClusterFacts } from "./facts.ts";
import type { RawFinding } from "./finding.ts";

/** Seconds until nobody sends to a pod that was told to stop. */
const PROPAGATION_S = 5;
const NEG_PROPAGATION_S = 40;
/** Seconds left to requests in flight after preStop. */
const DRAIN_S = 5;
const DEFAULT_GRACE_S = 30;

const NEG_ANNOTATION = "cloud.google.com/neg";

const SERVING_KINDS = ["Deployment", "StatefulSet", "DaemonSet"];

export function checkManifests(objects: readonly AnyObject[]): readonly RawFinding[] {
  const services = objects.filter(({ kind }) => kind === "Service");
  const scaled = objects.filter(({ kind }) => kind === "HorizontalPodAutoscaler").map(targetOf);
  return objects
    .filter(({ kind }) => SERVING_KINDS.includes(kind))
    .flatMap((object) => {
      const deployment = object as unknown as Deployment;
      const spec = deployment.spec.template?.spec;
      if (spec?.containers === undefined) return [];
      const selecting = services.filter((service) => selects(service, object));
      const replicas = deployment.spec.replicas ?? (scaled.includes(object.metadata.name) ? undefined : 1);
      return [
        ...spec.containers.flatMap((container) => ofContainer(object, container)),
        ...(selecting.length === 0 ? [] : serving(object, spec, selecting)),
        ...(object.kind === "Deployment"
          ? ofDeployment(object, spec, { replicas, isServing: selecting.length > 0 })
          : []),
      ];
    });
}

function targetOf(hpa: AnyObject): string | undefined {
  return (hpa["spec"] as { scaleTargetRef?: { name?: string } } | undefined)?.scaleTargetRef?.name;
}

function selects(service: AnyObject, deployment: AnyObject): boolean {
  const { selector } = (service["spec"] ?? {}) as { selector?: Readonly<Record<string, string>> };
  if (selector === undefined || Object.keys(selector).length === 0) return false;
  if (service.metadata.namespace !== deployment.metadata.namespace) return false;
  const labels = (deployment as unknown as Deployment).spec.template.metadata?.labels ?? {};
  return matchesLabels({ matchLabels: selector }, labels);
}

function ofContainer(object: AnyObject, container: Container): readonly RawFinding[] {
  const place = `containers/${container.name}`;
  const found: RawFinding[] = [];
  const { requests = {}, limits = {} } = container.resources ?? {};
  const lacks = ["cpu", "memory"].filter(
    (name) => requests[name] === undefined && limits[name] === undefined,
  );
  if (lacks.length > 0)
    found.push({ code: "REQUESTS_MISSING", object, place, message: `requests no ${lacks.join(" and no ")}` });
  const image = container.image ?? "";
  if (isMoving(image))
    found.push({
      code: "IMAGE_TAG_MOVING",
      object,
      place,
      message: `runs ${image}, which is another image tomorrow`,
    });
  const { livenessProbe: liveness, readinessProbe: readiness } = container;
  if (liveness !== undefined && readiness !== undefined && asksTheSame(liveness, readiness)) {
    const [dies, leaves] = [patience(liveness), patience(readiness)];
    if (dies <= leaves) {
      const message = `liveness asks the same as readiness and gives up after ${dies} s, readiness after ${leaves} s: it is restarted instead of left alone`;
      found.push({ code: "LIVENESS_TOO_EAGER", object, place, message });
    }
  }
  return found;
}

/** No digest, and no tag or `latest`. */
function isMoving(image: string): boolean {
  if (image === "" || image.includes("@")) return false;
  const tag = /:([^/:]+)$/.exec(image)?.[1];
  return tag === undefined || tag === "latest";
}

function asksTheSame(a: Probe, b: Probe): boolean {
  const essence = ({ exec, httpGet, tcpSocket, grpc }: Probe): string =>
    JSON.stringify([
      exec?.command,
      httpGet && [httpGet.path ?? "/", httpGet.port, httpGet.host, httpGet.scheme ?? "HTTP"],
      tcpSocket && [tcpSocket.port, tcpSocket.host],
      grpc && [grpc.port, grpc.service],
    ]);
  return essence(a) === essence(b);
}

/** Seconds of failures until a probe acts: period × threshold, by default 10 × 3. */
const patience = ({ periodSeconds = 10, failureThreshold = 3 }: Probe): number =>
  periodSeconds * failureThreshold;

function serving(object: AnyObject, spec: PodSpec, services: readonly AnyObject[]): readonly RawFinding[] {
  const found: RawFinding[] = [];
  const isNeg = services.some(hasNeg);
  const enough = isNeg ? NEG_PROPAGATION_S : PROPAGATION_S;
  const grace = spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_S;
  // What listens: of several containers, those that name a port.
  const named = spec.containers.filter(({ ports }) => (ports ?? []).length > 0);
  for (const container of named.length > 0 ? named : spec.containers.slice(0, 1)) {
    const place = `containers/${container.name}`;
    if (container.readinessProbe === undefined)
      found.push({
        code: "READINESS_PROBE_MISSING",
        object,
        place,
        message: "serves requests and has no readinessProbe",
      });
    const preStop = container.lifecycle?.preStop;
    const waits = preStop === undefined ? undefined : waitOf(preStop);
    if (isNeg && (preStop === undefined || (waits !== undefined && waits < enough))) {
      const has = preStop === undefined ? "has no preStop" : `waits ${waits} s in preStop`;
      found.push({
        code: "NEG_WITHOUT_PRESTOP",
        object,
        place,
        message: `stands behind a GKE load balancer (NEG) and ${has}; the load balancer sends on for up to ${enough} s`,
      });
    } else if (preStop === undefined) {
      found.push({
        code: "PRESTOP_MISSING",
        object,
        place,
        message: `has no preStop: requests sent within about ${enough} s of its end are lost`,
      });
    } else if (waits !== undefined && waits < enough) {
      found.push({
        code: "PRESTOP_TOO_SHORT",
        object,
        place,
        message: `waits ${waits} s in preStop; endpoints take up to ${enough} s to be known everywhere`,
      });
    }
    if (waits !== undefined && grace < waits + DRAIN_S)
      found.push({
        code: "GRACE_TOO_SHORT",
        object,
        place: "terminationGracePeriodSeconds",
        message: `is ${grace} s, of which preStop takes ${waits} s: ${Math.max(0, grace - waits)} s are left to requests in flight`,
        hint: `Make it at least ${waits} + the longest request + 5, so ${waits + DRAIN_S} or more.`,
      });
  }
  return found;
}

function hasNeg(service: AnyObject): boolean {
  const text = service.metadata.annotations?.[NEG_ANNOTATION];
  if (text === undefined) return false;
  try {
    const { ingress, exposed_ports: ports } = JSON.parse(text) as {
      ingress?: boolean;
      exposed_ports?: object;
    };
    return ingress === true || Object.keys(ports ?? {}).length > 0;
  } catch {
    return false;
  }
}

type PreStop = NonNullable<NonNullable<Container["lifecycle"]>["preStop"]>;

/** Seconds that a preStop waits, where its text shows them: `sleep 5`, a shell's, or Node's timer in milliseconds. */
function waitOf({ sleep, exec }: PreStop): number | undefined {
  if (sleep !== undefined) return sleep.seconds;
  const text = (exec?.command ?? []).join(" ");
  const slept = /(?:^|[\s;&/])sleep\s+(\d+(?:\.\d+)?)/.exec(text);
  if (slept !== null) return Number(slept[1]);
  const timer = /setTimeout\([^,]*(?:=>\s*\{[^}]*\})?,\s*([\d_]+)\)/.exec(text);
  return timer === null ? undefined : Number((timer[1] as string).replaceAll("_", "")) / 1000;
}

function ofDeployment(
  object: AnyObject,
  spec: PodSpec,
  { replicas, isServing }: { readonly replicas: number | undefined; readonly isServing: boolean },
): readonly RawFinding[] {
  const deployment = object as unknown as Deployment;
  const found: RawFinding[] = [];
  if (deployment.spec.strategy?.type === "Recreate") {
    found.push({
      code: "STRATEGY_RECREATE",
      object,
      place: "spec.strategy",
      message: `stops all ${replicas ?? "its"} pods before the first new one starts`,
    });
  } else if (isServing && replicas !== undefined && replicas > 0) {
    const { maxUnavailable } = limitsOf({ ...deployment, spec: { ...deployment.spec, replicas } });
    if (maxUnavailable > 0)
      found.push({
        code: "ROLLOUT_LOSES_CAPACITY",
        object,
        place: "spec.strategy",
        message: `lets ${maxUnavailable} of ${replicas} pods go before new ones are ready`,
      });
  }
  if (isServing && replicas === 1)
    found.push({
      code: "SINGLE_REPLICA",
      object,
      place: "spec.replicas",
      message: "is 1: no other pod serves while it restarts",
    });
  const isSpread =
    (spec.topologySpreadConstraints ?? []).length > 0 || spec.affinity?.podAntiAffinity !== undefined;
  if (!isSpread && (replicas === undefined || replicas > 1))
    found.push({
      code: "SPREAD_MISSING",
      object,
      message: `nothing keeps its ${replicas ?? ""} replicas on different nodes`.replace("  ", " "),
    });
  return found;
}

/** Controllers that open gates, and how a cluster shows that it has them. */
const GATES: readonly {
  readonly gate: RegExp;
  readonly isServed: (labels: Readonly<Record<string, string>>) => boolean;
  readonly who: string;
}[] = [
  {
    gate: /^cloud\.google\.com\/load-balancer-neg-ready$/,
    isServed: (labels) => Object.keys(labels).some((label) => label.startsWith("cloud.google.com/gke-")),
    who: "GKE's NEG controller",
  },
  {
    gate: /^target-health\.(?:elbv2|alb\.ingress)\.k8s\.aws\//,
    isServed: (labels) =>
      Object.keys(labels).some(
        (label) => label.startsWith("eks.amazonaws.com/") || label === "alpha.eksctl.io/cluster-name",
      ),
    who: "the AWS load balancer controller",
  },
];

/** An explicit gate on a cluster whose nodes show that its controller cannot be there. */
export function checkReadinessGates(
  facts: ClusterFacts,
  objects: readonly AnyObject[],
): readonly RawFinding[] {
  const nodes = facts.nodes ?? [];
  if (nodes.length === 0) return [];
  return objects
    .filter(({ kind }) => kind === "Deployment")
    .flatMap((object) => {
      const gates = (object as unknown as Deployment).spec.template.spec.readinessGates ?? [];
      return gates.flatMap(({ conditionType }): readonly RawFinding[] => {
        const known = GATES.find(({ gate }) => gate.test(conditionType));
        if (known === undefined || nodes.some((node) => known.isServed(node.metadata.labels ?? {})))
          return [];
        return [
          {
            code: "READINESS_GATE_UNSERVED",
            object,
            place: "readinessGates",
            message: `waits for ${conditionType}, which ${known.who} opens, and no node here looks like it is there`,
          },
        ];
      });
    });
}
