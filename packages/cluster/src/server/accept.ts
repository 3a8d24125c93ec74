/**
 * Which form of an answer a client wants, from its Accept header. Clients list forms in order of preference and end
 * with plain JSON; the first that this server can give is taken. Protobuf and CBOR are passed over.
 */
import { statusError } from "@slipway/kube";
import type { DiscoveryVersion } from "./discovery.ts";

export type Form =
  | { readonly kind: "object" }
  | { readonly kind: "table"; readonly version: "v1" | "v1beta1" }
  | { readonly kind: "metadata"; readonly version: "v1" | "v1beta1" };

interface Offer {
  readonly mediaType: string;
  readonly as: string | undefined;
  readonly group: string | undefined;
  readonly version: string | undefined;
}

function offersOf(accept: string | undefined): Offer[] {
  return (accept ?? "*/*").split(",").map((part) => {
    const [mediaType = "", ...parameters] = part.split(";").map((each) => each.trim());
    const values = new Map(parameters.map((each) => each.split("=", 2) as [string, string]));
    return { mediaType, as: values.get("as"), group: values.get("g"), version: values.get("v") };
  });
}

function isJson({ mediaType }: Offer): boolean {
  return mediaType === "application/json" || mediaType === "application/*" || mediaType === "*/*";
}

/** Throws a 406 when nothing fits. */
export function resourceForm(accept: string | undefined): Form {
  for (const offer of offersOf(accept)) {
    if (!isJson(offer)) continue;
    if (offer.as === undefined) return { kind: "object" };
    const version = offer.version === "v1" || offer.version === "v1beta1" ? offer.version : undefined;
    if (offer.group !== "meta.k8s.io" || version === undefined) continue;
    if (offer.as === "Table") return { kind: "table", version };
    if (offer.as === "PartialObjectMetadata" || offer.as === "PartialObjectMetadataList") {
      return { kind: "metadata", version };
    }
  }
  throw notAcceptable();
}

/** The version of the aggregated document that is wanted, or `legacy`. */
export function discoveryForm(accept: string | undefined): DiscoveryVersion | "legacy" {
  for (const offer of offersOf(accept)) {
    if (!isJson(offer)) continue;
    if (offer.as === undefined) return "legacy";
    if (offer.as !== "APIGroupDiscoveryList" || offer.group !== "apidiscovery.k8s.io") continue;
    if (offer.version === "v2" || offer.version === "v2beta1") return offer.version;
  }
  throw notAcceptable();
}

function notAcceptable(): Error {
  const message = "only the following media types are accepted: application/json";
  return statusError(406, "NotAcceptable", message);
}
