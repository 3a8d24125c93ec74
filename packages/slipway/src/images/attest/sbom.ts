/** The bill of materials of an image, as CycloneDX 1.6 JSON. The same image gives the same bytes. */
import { ComponentType } from "@cyclonedx/cyclonedx-library/Enums";
import {
  Bom,
  Component,
  LicenseExpression,
  NamedLicense,
  Property,
} from "@cyclonedx/cyclonedx-library/Models";
import { JSON as Json, JsonSerializer } from "@cyclonedx/cyclonedx-library/Serialize";
import { Spec1dot6 } from "@cyclonedx/cyclonedx-library/Spec";
import { type BilledImage, inUrl, type PackageList, packageUrl } from "./packages.ts";

export function billOfMaterials(image: BilledImage, list: PackageList): Buffer {
  const bom = new Bom();
  const url = `pkg:oci/${encodeURIComponent(image.name.split("/").at(-1) ?? "")}@${inUrl(image.digest)}`;
  const subject = new Component(ComponentType.Container, image.name, {
    version: image.digest,
    bomRef: url,
    purl: url,
  });
  for (const path of list.unread) subject.properties.add(new Property("slipway:unread", path));
  bom.metadata.component = subject;
  if (image.created !== undefined) bom.metadata.timestamp = new Date(image.created);
  if (list.distribution !== undefined) {
    const { id, version } = list.distribution;
    const options = { bomRef: `os:${id}`, ...(version === undefined ? {} : { version }) };
    bom.components.add(new Component(ComponentType.OperatingSystem, id, options));
  }
  const seen = new Map<string, Component>();
  for (const one of list.packages) {
    const purl = packageUrl(one, list.distribution);
    const known = seen.get(purl);
    // One package in several folders is one component with several places.
    if (known !== undefined) {
      known.properties.add(new Property("slipway:path", one.path));
      continue;
    }
    const slash = one.kind === "npm" && one.name.startsWith("@") ? one.name.indexOf("/") : -1;
    const component = new Component(ComponentType.Library, one.name.slice(slash + 1), {
      version: one.version,
      bomRef: purl,
      purl,
      ...(slash < 0 ? {} : { group: one.name.slice(0, slash) }),
    });
    component.properties.add(new Property("slipway:path", one.path));
    if (one.license !== undefined && one.license !== "") component.licenses.add(licenseOf(one.license));
    seen.set(purl, component);
    bom.components.add(component);
  }
  const serializer = new JsonSerializer(new Json.Normalize.Factory(Spec1dot6));
  return Buffer.from(serializer.serialize(bom, { sortLists: true }));
}

/** An SPDX expression where it looks like one, else its name as it is. */
function licenseOf(text: string): LicenseExpression | NamedLicense {
  return /^\(?[A-Za-z0-9.+-]+(?: (?:AND|OR|WITH) \(?[A-Za-z0-9.+-]+\)?)*\)?$/.test(text)
    ? new LicenseExpression(text)
    : new NamedLicense(text);
}
