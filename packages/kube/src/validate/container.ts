/** Containers of a pod, as in kubernetes `pkg/apis/core/validation`. */
import { canonicalQuantity, compareQuantities, quantityProblem } from "../quantity.ts";
import type { Quantity } from "../resources/meta.ts";
import type {
  Container,
  ContainerPort,
  EnvVar,
  LifecycleHandler,
  Probe,
  VolumeMount,
} from "../resources/pod.ts";
import { labelKeyProblem } from "../selector/labels.ts";
import type { FieldErrors } from "./field-error.ts";
import { dnsLabelProblem, envNameProblem, portNameProblems, portNumberProblem } from "./names.ts";
import { validateNonNegative, validatePortReference } from "./numbers.ts";
import type { Sent } from "./sent.ts";

export interface ContainerContext {
  readonly volumeNames: ReadonlySet<string>;
  readonly isHostNetwork: boolean;
  /** Names of all containers so far; the list grows. */
  readonly takenNames: Set<string>;
  readonly isInit: boolean;
}

export function validateContainer(
  container: Sent<Container>,
  field: string,
  context: ContainerContext,
  errors: FieldErrors,
): void {
  const { name } = container;
  if (!name) {
    errors.required(`${field}.name`);
  } else {
    errors.check(`${field}.name`, name, dnsLabelProblem(name));
    if (context.takenNames.has(name)) errors.duplicate(`${field}.name`, name);
    context.takenNames.add(name);
  }
  validateImage(container.image, `${field}.image`, errors);
  validateOneOf(
    container.imagePullPolicy,
    `${field}.imagePullPolicy`,
    ["Always", "IfNotPresent", "Never"],
    errors,
  );
  validateOneOf(
    container.terminationMessagePolicy,
    `${field}.terminationMessagePolicy`,
    ["FallbackToLogsOnError", "File"],
    errors,
  );
  validatePorts(container.ports ?? [], `${field}.ports`, context.isHostNetwork, errors);
  validateEnv(container.env ?? [], `${field}.env`, errors);
  validateMounts(container.volumeMounts ?? [], `${field}.volumeMounts`, context.volumeNames, errors);
  validateResources(container.resources, `${field}.resources`, errors);
  validateProbes(container, field, context.isInit, errors);
}

function validateImage(image: string | undefined, field: string, errors: FieldErrors): void {
  if (!image) errors.required(field);
  else if (image.trim() !== image)
    errors.invalid(field, image, "must not have leading or trailing whitespace");
}

export function validateOneOf(
  value: string | undefined,
  field: string,
  supported: readonly string[],
  errors: FieldErrors,
): void {
  if (value !== undefined && value !== null && !supported.includes(value)) {
    errors.notSupported(field, value, supported);
  }
}

const PROTOCOLS = ["SCTP", "TCP", "UDP"];

function validatePorts(
  ports: readonly Sent<ContainerPort>[],
  field: string,
  isHostNetwork: boolean,
  errors: FieldErrors,
): void {
  const names = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const at = `${field}[${index}]`;
    if (port.name) {
      const problems = portNameProblems(port.name);
      for (const problem of problems) errors.invalid(`${at}.name`, port.name, problem);
      if (problems.length === 0 && names.has(port.name)) errors.duplicate(`${at}.name`, port.name);
      names.add(port.name);
    }
    if (!port.containerPort) errors.required(`${at}.containerPort`);
    else errors.check(`${at}.containerPort`, port.containerPort, portNumberProblem(port.containerPort));
    if (port.hostPort) {
      errors.check(`${at}.hostPort`, port.hostPort, portNumberProblem(port.hostPort));
      if (isHostNetwork && port.hostPort !== port.containerPort) {
        errors.invalid(
          `${at}.containerPort`,
          port.containerPort,
          "must match `hostPort` when `hostNetwork` is true",
        );
      }
    }
    if (!port.protocol) errors.required(`${at}.protocol`);
    else validateOneOf(port.protocol, `${at}.protocol`, PROTOCOLS, errors);
  }
}

const FIELD_PATHS = [
  "metadata.name",
  "metadata.namespace",
  "metadata.uid",
  "spec.nodeName",
  "spec.serviceAccountName",
  "status.hostIP",
  "status.hostIPs",
  "status.podIP",
  "status.podIPs",
];

function validateEnv(env: readonly Sent<EnvVar>[], field: string, errors: FieldErrors): void {
  for (const [index, variable] of env.entries()) {
    const at = `${field}[${index}]`;
    if (!variable.name) errors.required(`${at}.name`);
    else errors.check(`${at}.name`, variable.name, envNameProblem(variable.name));
    const { valueFrom } = variable;
    if (valueFrom === undefined || valueFrom === null) continue;
    const sources = Object.values(valueFrom).filter((source) => source !== undefined && source !== null);
    if (sources.length === 0) {
      errors.invalid(
        `${at}.valueFrom`,
        "",
        "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`",
      );
    } else if (variable.value) {
      errors.invalid(`${at}.valueFrom`, "", "may not be specified when `value` is not empty");
    } else if (sources.length > 1) {
      errors.invalid(`${at}.valueFrom`, "", "may not have more than one field specified at a time");
    }
    validateSource(valueFrom, `${at}.valueFrom`, errors);
  }
}

function validateSource(
  source: Sent<NonNullable<EnvVar["valueFrom"]>>,
  field: string,
  errors: FieldErrors,
): void {
  const { fieldRef } = source;
  if (fieldRef) {
    const path = fieldRef.fieldPath ?? "";
    const isMap = /^metadata\.(labels|annotations)\['.+'\]$/.test(path);
    if (path === "") errors.required(`${field}.fieldRef.fieldPath`);
    else if (!isMap && !FIELD_PATHS.includes(path)) {
      const detail = `error converting fieldPath: field label not supported: ${path}`;
      errors.invalid(`${field}.fieldRef.fieldPath`, path, detail);
    }
  }
  for (const name of ["configMapKeyRef", "secretKeyRef"] as const) {
    const reference = source[name];
    if (reference && !reference.key) errors.required(`${field}.${name}.key`);
  }
  if (source.resourceFieldRef && !source.resourceFieldRef.resource) {
    errors.required(`${field}.resourceFieldRef.resource`);
  }
}

function validateMounts(
  mounts: readonly Sent<VolumeMount>[],
  field: string,
  volumeNames: ReadonlySet<string>,
  errors: FieldErrors,
): void {
  const paths = new Set<string>();
  for (const [index, mount] of mounts.entries()) {
    const at = `${field}[${index}]`;
    if (!mount.name) errors.required(`${at}.name`);
    if (!volumeNames.has(mount.name ?? "")) errors.notFound(`${at}.name`, mount.name ?? "");
    if (!mount.mountPath) errors.required(`${at}.mountPath`);
    else if (paths.has(mount.mountPath)) errors.invalid(`${at}.mountPath`, mount.mountPath, "must be unique");
    paths.add(mount.mountPath ?? "");
    if (mount.subPath?.startsWith("/"))
      errors.invalid(`${at}.subPath`, mount.subPath, "must be a relative path");
    else if (mount.subPath?.split("/").includes("..")) {
      errors.invalid(`${at}.subPath`, mount.subPath, "must not contain '..'");
    }
  }
}

type ResourceList = Readonly<Record<string, Quantity>>;

const STANDARD_RESOURCES = /^(cpu|memory|ephemeral-storage|hugepages-.+)$/;

function validateResources(
  resources: Sent<NonNullable<Container["resources"]>> | undefined,
  field: string,
  errors: FieldErrors,
): void {
  const limits = (resources?.limits ?? {}) as ResourceList;
  const requests = (resources?.requests ?? {}) as ResourceList;
  validateQuantities(limits, `${field}.limits`, errors);
  validateQuantities(requests, `${field}.requests`, errors);
  for (const [name, request] of Object.entries(requests)) {
    const limit = limits[name];
    if (limit === undefined || quantityProblem(limit) !== undefined || quantityProblem(request) !== undefined)
      continue;
    const isExtended = !STANDARD_RESOURCES.test(name);
    if (isExtended && compareQuantities(request, limit) !== 0) {
      errors.invalid(
        `${field}.requests`,
        canonicalQuantity(request),
        `must be equal to ${name} limit of ${canonicalQuantity(limit)}`,
      );
    } else if (compareQuantities(request, limit) > 0) {
      errors.invalid(
        `${field}.requests`,
        canonicalQuantity(request),
        `must be less than or equal to ${name} limit of ${canonicalQuantity(limit)}`,
      );
    }
  }
}

function validateQuantities(list: ResourceList, field: string, errors: FieldErrors): void {
  for (const [name, quantity] of Object.entries(list)) {
    const at = `${field}[${name}]`;
    const problem = quantityProblem(quantity);
    if (problem !== undefined) errors.invalid(at, quantity, problem);
    else if (compareQuantities(quantity, 0) < 0) {
      errors.invalid(at, canonicalQuantity(quantity), "must be greater than or equal to 0");
    }
    if (STANDARD_RESOURCES.test(name)) continue;
    const nameProblem = labelKeyProblem(name);
    if (nameProblem !== undefined) {
      errors.invalid(at, name, nameProblem);
    } else if (!name.includes("/")) {
      errors.invalid(at, name, "must be a standard resource type or fully qualified");
      errors.invalid(at, name, "must be a standard resource for containers");
    }
  }
}

function validateProbes(
  container: Sent<Container>,
  field: string,
  isInit: boolean,
  errors: FieldErrors,
): void {
  // A plain init container runs to its end; only a sidecar has a life to watch.
  const isPlainInit = isInit && container.restartPolicy !== "Always";
  for (const name of ["livenessProbe", "readinessProbe", "startupProbe", "lifecycle"] as const) {
    if (isPlainInit && container[name]) {
      errors.forbidden(`${field}.${name}`, "may not be set for init containers without restartPolicy=Always");
    }
  }
  if (isPlainInit) return;
  validateProbe(container.livenessProbe, `${field}.livenessProbe`, errors);
  validateProbe(container.readinessProbe, `${field}.readinessProbe`, errors);
  validateProbe(container.startupProbe, `${field}.startupProbe`, errors);
  for (const name of ["livenessProbe", "startupProbe"] as const) {
    const threshold = container[name]?.successThreshold;
    if (threshold !== undefined && threshold !== 1) {
      errors.invalid(`${field}.${name}.successThreshold`, threshold, "must be 1");
    }
  }
  if (container.readinessProbe?.terminationGracePeriodSeconds !== undefined) {
    errors.invalid(
      `${field}.readinessProbe.terminationGracePeriodSeconds`,
      container.readinessProbe.terminationGracePeriodSeconds,
      "must not be set for readinessProbes",
    );
  }
  for (const name of ["postStart", "preStop"] as const) {
    const handler = container.lifecycle?.[name];
    if (handler)
      validateHandler(
        handler,
        `${field}.lifecycle.${name}`,
        ["exec", "httpGet", "tcpSocket", "sleep"],
        errors,
      );
  }
}

function validateProbe(probe: Sent<Probe> | undefined, field: string, errors: FieldErrors): void {
  if (probe === undefined || probe === null) return;
  validateHandler(probe, field, ["exec", "httpGet", "tcpSocket", "grpc"], errors);
  for (const name of [
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
  ] as const) {
    validateNonNegative(probe[name], `${field}.${name}`, errors);
  }
  const grace = probe.terminationGracePeriodSeconds;
  if (grace !== undefined && grace <= 0) {
    errors.invalid(`${field}.terminationGracePeriodSeconds`, grace, "must be greater than 0");
  }
}

/** Exactly one way to act or to check. */
function validateHandler(
  handler: Sent<LifecycleHandler & Probe>,
  field: string,
  ways: readonly ("exec" | "httpGet" | "tcpSocket" | "grpc" | "sleep")[],
  errors: FieldErrors,
): void {
  const [first, ...others] = ways.filter((way) => handler[way] !== undefined && handler[way] !== null);
  if (first === undefined) errors.required(field, "must specify a handler type");
  for (const way of others) errors.forbidden(`${field}.${way}`, "may not specify more than 1 handler type");
  if (first === "exec" && (handler.exec?.command ?? []).length === 0)
    errors.required(`${field}.exec.command`);
  if (first === "httpGet") {
    if (!handler.httpGet?.path) errors.required(`${field}.httpGet.path`);
    validatePortReference(handler.httpGet?.port, `${field}.httpGet.port`, errors);
    validateOneOf(handler.httpGet?.scheme, `${field}.httpGet.scheme`, ["HTTP", "HTTPS"], errors);
  }
  if (first === "tcpSocket")
    validatePortReference(handler.tcpSocket?.port, `${field}.tcpSocket.port`, errors);
  if (first === "grpc") {
    errors.check(`${field}.grpc.port`, handler.grpc?.port ?? 0, portNumberProblem(handler.grpc?.port));
  }
  if (first === "sleep") validateNonNegative(handler.sleep?.seconds, `${field}.sleep`, errors);
}
