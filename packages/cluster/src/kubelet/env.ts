/**
 * The environment of a container: service variables, envFrom, env with its references, and `$(VAR)`. Pure over a
 * snapshot; what is missing is an error in the kubelet's words, which becomes CreateContainerConfigError.
 */
import type { Container, EnvVar, Node, Pod, Quantity, Service, StringMap } from "@slipway/kube";
import type { Snapshot } from "../controllers/controller.ts";
import { amountOf } from "../controllers/scheduler/resources.ts";
import { ContainerStartError } from "../runtimes/runtime.ts";

/** What pods need to show to the API server, and to know it by. */
export interface AccountFiles {
  /** PEM of the cluster's authority. */
  readonly ca: string;
  tokenOf(namespace: string, account: string): string;
}

export interface EnvContext {
  readonly pod: Pod;
  readonly container: Container;
  readonly snapshot: Snapshot;
  readonly podIP: string;
  readonly hostIP: string;
  readonly node: Node | undefined;
  /** What the pod shows to the API server; undefined where it cannot be reached. */
  readonly account?: AccountFiles | undefined;
}

const configError = (message: string): ContainerStartError =>
  new ContainerStartError("CreateContainerConfigError", message);

/** In order, each name once. Throws ContainerStartError. */
export function environmentOf(context: EnvContext): ReadonlyMap<string, string> {
  const { pod, container } = context;
  const services = serviceEnvironment(pod, context.snapshot);
  const own = new Map<string, string>();
  for (const source of container.envFrom ?? []) {
    const { prefix = "" } = source;
    const data =
      source.configMapRef === undefined
        ? secretData(context, source.secretRef?.name ?? "", source.secretRef?.optional)
        : configMapData(context, source.configMapRef.name, source.configMapRef.optional);
    for (const [key, value] of Object.entries(data ?? {})) own.set(`${prefix}${key}`, value);
  }
  for (const variable of container.env ?? []) {
    const value = variableValue(variable, context, (name) => own.get(name) ?? services.get(name));
    if (value !== undefined) own.set(variable.name, value);
  }
  return new Map([...own, ...[...services].filter(([name]) => !own.has(name))]);
}

function variableValue(
  variable: EnvVar,
  context: EnvContext,
  lookup: (name: string) => string | undefined,
): string | undefined {
  const { valueFrom } = variable;
  if (valueFrom === undefined) return expand(variable.value ?? "", lookup);
  if (valueFrom.fieldRef !== undefined) return fieldValue(valueFrom.fieldRef.fieldPath, context);
  if (valueFrom.resourceFieldRef !== undefined) return resourceValue(valueFrom.resourceFieldRef, context);
  if (valueFrom.configMapKeyRef !== undefined) {
    const { name, key, optional } = valueFrom.configMapKeyRef;
    const value = configMapData(context, name, optional)?.[key];
    if (value !== undefined || optional === true) return value;
    throw configError(`couldn't find key ${key} in ConfigMap ${context.pod.metadata.namespace}/${name}`);
  }
  if (valueFrom.secretKeyRef !== undefined) {
    const { name, key, optional } = valueFrom.secretKeyRef;
    const value = secretData(context, name, optional)?.[key];
    if (value !== undefined || optional === true) return value;
    throw configError(`couldn't find key ${key} in Secret ${context.pod.metadata.namespace}/${name}`);
  }
  return "";
}

function configMapData(
  { pod, snapshot }: EnvContext,
  name: string,
  optional?: boolean,
): StringMap | undefined {
  const configMap = snapshot.get("ConfigMap", pod.metadata.namespace ?? "", name);
  if (configMap === undefined && optional !== true) throw configError(`configmap "${name}" not found`);
  return configMap?.data ?? {};
}

function secretData({ pod, snapshot }: EnvContext, name: string, optional?: boolean): StringMap | undefined {
  const secret = snapshot.get("Secret", pod.metadata.namespace ?? "", name);
  if (secret === undefined && optional !== true) throw configError(`secret "${name}" not found`);
  return Object.fromEntries(
    Object.entries(secret?.data ?? {}).map(([key, value]) => [
      key,
      Buffer.from(value, "base64").toString("utf8"),
    ]),
  );
}

/** The downward API's fields, for env and for files. */
export function fieldValue(path: string, context: Omit<EnvContext, "container">): string {
  const { pod, podIP, hostIP } = context;
  const { metadata, spec } = pod;
  const keyed = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path);
  if (keyed !== null) return metadata[keyed[1] as "labels" | "annotations"]?.[keyed[2] as string] ?? "";
  const fields: Readonly<Record<string, string | undefined>> = {
    "metadata.name": metadata.name,
    "metadata.namespace": metadata.namespace,
    "metadata.uid": metadata.uid,
    "metadata.labels": formatMap(metadata.labels),
    "metadata.annotations": formatMap(metadata.annotations),
    "spec.nodeName": spec.nodeName,
    "spec.serviceAccountName": spec.serviceAccountName ?? "default",
    "status.hostIP": hostIP,
    "status.hostIPs": hostIP,
    "status.podIP": podIP,
    "status.podIPs": podIP,
  };
  if (!(path in fields)) throw configError(`field label not supported: ${path}`);
  return fields[path] ?? "";
}

function formatMap(map: StringMap | undefined): string {
  return Object.entries(map ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join("\n");
}

/** `limits.cpu` in units of the divisor, rounded up; without a limit, what the node can give. */
export function resourceValue(
  ref: { readonly resource: string; readonly containerName?: string; readonly divisor?: Quantity },
  context: EnvContext,
): string {
  const [kind, ...rest] = ref.resource.split(".");
  const resource = rest.join(".");
  const everyone = [...context.pod.spec.containers, ...(context.pod.spec.initContainers ?? [])];
  const container =
    ref.containerName === undefined
      ? context.container
      : everyone.find(({ name }) => name === ref.containerName);
  if (container === undefined) throw configError(`container ${ref.containerName} not found`);
  const own = container.resources?.[kind === "limits" ? "limits" : "requests"]?.[resource];
  const quantity = own ?? (kind === "limits" ? context.node?.status?.allocatable?.[resource] : "0");
  const isZero = ref.divisor === undefined || amountOf(resource, ref.divisor) === 0;
  const divisor = isZero ? amountOf(resource, "1") : amountOf(resource, ref.divisor);
  return String(Math.ceil(amountOf(resource, quantity) / divisor));
}

/** `$(NAME)` where NAME is known; `$$` is a dollar sign; anything else stays as it is. */
export function expand(text: string, lookup: (name: string) => string | undefined): string {
  return text.replace(/\$(\$|\(([^)]*)\))/g, (whole, escaped: string, name: string | undefined) => {
    if (escaped === "$") return "$";
    return (name === undefined ? undefined : lookup(name)) ?? whole;
  });
}

/**
 * `NAME_SERVICE_HOST` and its like for the Services that exist when the container starts: those of the pod's
 * namespace unless `enableServiceLinks` is false, and always `kubernetes`.
 */
function serviceEnvironment(pod: Pod, snapshot: Snapshot): ReadonlyMap<string, string> {
  const links = pod.spec.enableServiceLinks !== false;
  const own = links ? snapshot.list("Service", pod.metadata.namespace) : [];
  const api = snapshot.get("Service", "default", "kubernetes");
  const services = [...own, ...(api === undefined || own.includes(api) ? [] : [api])];
  return new Map(services.flatMap(variablesOf));
}

function variablesOf(service: Service): readonly [string, string][] {
  const ip = service.spec.clusterIP;
  const [first] = service.spec.ports ?? [];
  if (ip === undefined || ip === "" || ip === "None" || first === undefined) return [];
  const name = envName(service.metadata.name);
  const url = (protocol: string, port: number): string => `${protocol.toLowerCase()}://${ip}:${port}`;
  const variables: [string, string][] = [
    [`${name}_SERVICE_HOST`, ip],
    [`${name}_SERVICE_PORT`, String(first.port)],
    [`${name}_PORT`, url(first.protocol ?? "TCP", first.port)],
  ];
  for (const { name: portName, port, protocol = "TCP" } of service.spec.ports ?? []) {
    if (portName !== undefined && portName !== "") {
      variables.push([`${name}_SERVICE_PORT_${envName(portName)}`, String(port)]);
    }
    const prefix = `${name}_PORT_${port}_${protocol}`;
    variables.push(
      [prefix, url(protocol, port)],
      [`${prefix}_PROTO`, protocol.toLowerCase()],
      [`${prefix}_PORT`, String(port)],
      [`${prefix}_ADDR`, ip],
    );
  }
  return variables;
}

const envName = (name: string): string => name.toUpperCase().replaceAll("-", "_");
