/**
 * Where an image comes from, as an in-toto statement with SLSA provenance. No times: the same sources give the same
 * statement. Source: in-toto attestation framework "Statement v1"; SLSA "Provenance v1".
 */
import type { ImageSourceConfig } from "../../config/types.ts";

export const PROVENANCE_TYPE = "application/vnd.in-toto+json";

export interface ProvenanceFacts {
  readonly image: string;
  /** `sha256:…` */
  readonly digest: string;
  readonly from: ImageSourceConfig["from"];
  /** Paths are shown relative to it. */
  readonly root: string;
  readonly source: string | undefined;
  readonly revision: string | undefined;
  readonly base: { readonly name: string; readonly digest: string } | undefined;
  /** `slipway`, `docker 20.10.24`. */
  readonly builder: string;
}

export function provenance(facts: ProvenanceFacts): Buffer {
  const { image, digest, source, revision, base, builder } = facts;
  const dependencies = [
    ...(source === undefined
      ? []
      : [{ uri: `git+${source}`, ...(revision === undefined ? {} : { digest: { gitCommit: revision } }) }]),
    ...(base === undefined ? [] : [{ uri: `docker-image://${base.name}`, digest: hashOf(base.digest) }]),
  ];
  return Buffer.from(
    JSON.stringify({
      _type: "https://in-toto.io/Statement/v1",
      subject: [{ name: image, digest: hashOf(digest) }],
      predicateType: "https://slsa.dev/provenance/v1",
      predicate: {
        buildDefinition: {
          buildType: "https://slipway.dev/build/v1",
          externalParameters: parametersOf(facts),
          resolvedDependencies: dependencies,
        },
        runDetails: { builder: { id: `https://slipway.dev/builder/${builder.replaceAll(" ", "/")}` } },
      },
    }),
  );
}

/** What the configuration asks for. Of arguments and secrets only the names: values may be private. */
function parametersOf({ from, root }: ProvenanceFacts): Readonly<Record<string, unknown>> {
  const inside = (path: string): string =>
    path === root ? "." : path.startsWith(`${root}/`) ? path.slice(root.length + 1) : path;
  switch (from.kind) {
    case "context":
      return {
        context: inside(from.context),
        dockerfile: inside(from.dockerfile),
        args: Object.keys(from.args).sort(),
        ...(from.target === undefined ? {} : { target: from.target }),
        ...(from.secrets === undefined ? {} : { secrets: Object.keys(from.secrets).sort() }),
      };
    case "node":
      return { node: inside(from.folder) };
    case "command":
      return { command: from.command };
    case "ref":
      return { ref: from.ref };
    case "archive":
      return { archive: inside(from.archive) };
  }
}

function hashOf(digest: string): Readonly<Record<string, string>> {
  const [algorithm = "", hex = ""] = digest.split(":");
  return { [algorithm]: hex };
}
