/**
 * Image references as Docker writes them: `[registry/]repository[:tag][@digest]`. The first part is a registry only
 * if it has a dot or a colon or is `localhost`; otherwise the image lives on Docker Hub, its one-word names under
 * `library/`. Source: distribution/reference, grammar in its package comment.
 */
import { SlipwayError } from "@slipway/base";
import { parseDigest } from "./oci.ts";

export interface ImageReference {
  /** `host[:port]`. */
  readonly registry: string;
  readonly repository: string;
  readonly tag: string | undefined;
  readonly digest: string | undefined;
}

/** What a reference without a registry means, everywhere in the container world. */
export const DEFAULT_REGISTRY = "docker.io";

const COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;

export const isRepositoryName = (name: string): boolean =>
  name.length <= 255 && name.split("/").every((part) => COMPONENT.test(part));

export const isTag = (tag: string): boolean => TAG.test(tag);

/** Rejects with IMAGE_REFERENCE_INVALID. A reference with neither tag nor digest gets the tag `latest`. */
export function parseReference(text: string, where = "image"): ImageReference {
  const [named = "", digest] = text.split("@") as [string, string?];
  const colon = named.lastIndexOf(":");
  const hasTag = colon > named.lastIndexOf("/");
  const tag = hasTag ? named.slice(colon + 1) : undefined;
  const { registry, repository } = splitRegistry(hasTag ? named.slice(0, colon) : named);
  const problem =
    text.split("@").length > 2
      ? "it has more than one @"
      : digest !== undefined && parseDigest(digest) === undefined
        ? `"${digest}" is not a digest`
        : tag !== undefined && !isTag(tag)
          ? `"${tag}" is not a tag`
          : !isRepositoryName(repository)
            ? repository === repository.toLowerCase()
              ? `"${repository}" is not a repository name`
              : "a repository name must be lower case"
            : undefined;
  if (problem !== undefined) {
    throw new SlipwayError({
      code: "IMAGE_REFERENCE_INVALID",
      where,
      message: `"${text}" is not an image reference: ${problem}`,
      hint: "Write registry/repository:tag or registry/repository@sha256:….",
      exitCode: 2,
    });
  }
  return { registry, repository, tag: tag ?? (digest === undefined ? "latest" : undefined), digest };
}

export function formatReference(reference: ImageReference): string {
  const tag = reference.tag === undefined ? "" : `:${reference.tag}`;
  const digest = reference.digest === undefined ? "" : `@${reference.digest}`;
  return `${reference.registry}/${reference.repository}${tag}${digest}`;
}

function splitRegistry(name: string): { registry: string; repository: string } {
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const isRegistry = first === "localhost" || /[.:]/.test(first);
  if (isRegistry && first !== DEFAULT_REGISTRY) return { registry: first, repository: name.slice(slash + 1) };
  const repository = isRegistry ? name.slice(slash + 1) : name;
  return {
    registry: DEFAULT_REGISTRY,
    repository: repository.includes("/") ? repository : `library/${repository}`,
  };
}
