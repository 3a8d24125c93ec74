/** Services, Endpoints and EndpointSlices, as in kubernetes `pkg/apis/{core,discovery}/validation`. */
import type { EndpointSlice, Endpoints, Service, ServicePort } from "../resources/service.ts";
import { validateOneOf } from "./container.ts";
import type { FieldErrors } from "./field-error.ts";
import { validateLabels } from "./meta.ts";
import {
  dnsLabelProblem,
  dnsSubdomainProblem,
  ipProblem,
  isIpv4,
  isIpv6,
  portNumberProblem,
} from "./names.ts";
import { validatePortReference } from "./numbers.ts";
import type { Sent } from "./sent.ts";

const TYPES = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const PROTOCOLS = ["SCTP", "TCP", "UDP"];

export function validateService(service: Sent<Service>, errors: FieldErrors): void {
  const spec = service.spec ?? {};
  const ports = spec.ports ?? [];
  const isHeadless = spec.clusterIP === "None";
  const isExternal = spec.type === "ExternalName";
  if (ports.length === 0 && !isHeadless && !isExternal) errors.required("spec.ports");
  if (isExternal) validateExternalName(spec, errors);
  const seen = { names: new Set<string>(), ports: new Set<string>() };
  for (const [index, port] of ports.entries()) {
    validatePort(
      port,
      `spec.ports[${index}]`,
      { ...seen, needsName: ports.length > 1, type: spec.type },
      errors,
    );
  }
  validateLabels(spec.selector as Record<string, string> | undefined, "spec.selector", errors);
  if (!spec.sessionAffinity) errors.required("spec.sessionAffinity");
  else validateOneOf(spec.sessionAffinity, "spec.sessionAffinity", ["ClientIP", "None"], errors);
  if (!spec.type) errors.required("spec.type");
  else validateOneOf(spec.type, "spec.type", TYPES, errors);
  if (spec.clusterIP && !isHeadless && !isExternal) {
    errors.check("spec.clusterIPs[0]", spec.clusterIP, ipProblem(spec.clusterIP));
  }
  if (isHeadless && (spec.type === "NodePort" || spec.type === "LoadBalancer")) {
    errors.invalid("spec.clusterIPs[0]", "None", `may not be set to 'None' for ${spec.type} services`);
  }
}

function validateExternalName(spec: Sent<Service["spec"]>, errors: FieldErrors): void {
  if (spec.clusterIP) errors.forbidden("spec.clusterIP", "may not be set when `type` is 'ExternalName'");
  // A trailing dot makes the name absolute and is allowed.
  const name = spec.externalName?.replace(/\.$/, "") ?? "";
  if (name === "") errors.required("spec.externalName");
  else errors.check("spec.externalName", spec.externalName, dnsSubdomainProblem(name));
}

function validatePort(
  port: Sent<ServicePort>,
  field: string,
  context: {
    readonly names: Set<string>;
    readonly ports: Set<string>;
    readonly needsName: boolean;
    readonly type: string | undefined;
  },
  errors: FieldErrors,
): void {
  const { name } = port;
  if (!name) {
    if (context.needsName) errors.required(`${field}.name`);
  } else {
    errors.check(`${field}.name`, name, dnsLabelProblem(name));
    if (context.names.has(name)) errors.duplicate(`${field}.name`, name);
    context.names.add(name);
  }
  errors.check(`${field}.port`, port.port ?? 0, portNumberProblem(port.port));
  if (!port.protocol) errors.required(`${field}.protocol`);
  else validateOneOf(port.protocol, `${field}.protocol`, PROTOCOLS, errors);
  validatePortReference(port.targetPort, `${field}.targetPort`, errors);
  const key = `${port.protocol}/${port.port}`;
  if (context.ports.has(key)) errors.duplicate(field, { protocol: port.protocol, port: port.port });
  context.ports.add(key);
  if (port.nodePort && (context.type === "ClusterIP" || context.type === "ExternalName")) {
    errors.forbidden(`${field}.nodePort`, `may not be used when \`type\` is '${context.type}'`);
  }
}

export function validateServiceUpdate(service: Service, old: Service, errors: FieldErrors): void {
  if (old.spec.type === "ExternalName" || service.spec.type === "ExternalName") return;
  const { clusterIP } = old.spec;
  if (!clusterIP || service.spec.clusterIP === clusterIP) return;
  errors.invalid("spec.clusterIPs[0]", [service.spec.clusterIP ?? ""], "may not change once set");
}

export function validateEndpoints(endpoints: Sent<Endpoints>, errors: FieldErrors): void {
  for (const [index, subset] of (endpoints.subsets ?? []).entries()) {
    const at = `subsets[${index}]`;
    const { addresses = [], notReadyAddresses = [], ports = [] } = subset;
    if (addresses.length === 0 && notReadyAddresses.length === 0) {
      errors.required(at, "must specify `addresses` or `notReadyAddresses`");
    }
    for (const [name, list] of [
      ["addresses", addresses],
      ["notReadyAddresses", notReadyAddresses],
    ] as const) {
      for (const [position, { ip = "" }] of list.entries()) {
        errors.check(`${at}.${name}[${position}].ip`, ip, ipProblem(ip));
      }
    }
    for (const [position, port] of ports.entries()) {
      const place = `${at}.ports[${position}]`;
      if (ports.length > 1 && !port.name) errors.required(`${place}.name`);
      errors.check(`${place}.port`, port.port ?? 0, portNumberProblem(port.port));
      validateOneOf(port.protocol, `${place}.protocol`, PROTOCOLS, errors);
    }
  }
}

const ADDRESS_TYPES = ["FQDN", "IPv4", "IPv6"];

export function validateEndpointSlice(slice: Sent<EndpointSlice>, errors: FieldErrors): void {
  const { addressType, endpoints = [], ports = [] } = slice;
  if (!addressType) errors.required("addressType");
  else validateOneOf(addressType, "addressType", ADDRESS_TYPES, errors);
  if (endpoints.length > 1000) errors.tooMany("endpoints", endpoints.length, 1000);
  for (const [index, endpoint] of endpoints.entries()) {
    const at = `endpoints[${index}].addresses`;
    const addresses = endpoint.addresses ?? [];
    if (addresses.length === 0) errors.required(at, "must contain at least 1 address");
    for (const [position, address] of addresses.entries()) {
      errors.check(`${at}[${position}]`, address, addressProblem(addressType, address));
    }
  }
  for (const [index, port] of ports.entries()) {
    if (port.port !== undefined)
      errors.check(`ports[${index}].port`, port.port, portNumberProblem(port.port));
    validateOneOf(port.protocol, `ports[${index}].protocol`, PROTOCOLS, errors);
    if (port.name) errors.check(`ports[${index}].name`, port.name, dnsLabelProblem(port.name));
  }
}

function addressProblem(addressType: string | undefined, address: string): string | undefined {
  switch (addressType) {
    case "IPv4":
      return isIpv4(address) ? undefined : "must be an IPv4 address";
    case "IPv6":
      return isIpv6(address) ? undefined : "must be an IPv6 address";
    default:
      return dnsSubdomainProblem(address);
  }
}

export function validateEndpointSliceUpdate(
  slice: EndpointSlice,
  old: EndpointSlice,
  errors: FieldErrors,
): void {
  if (slice.addressType !== old.addressType) {
    errors.invalid("addressType", slice.addressType, "field is immutable");
  }
}
