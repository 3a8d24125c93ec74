/**
 * The node cannot have the image. Which answer the registry gave decides: a refusal will not pass, a limit or a
 * network may. The kubelet's back-off message no longer carries the answer, its events do; both are read.
 */
import type { ContainerStatus, Pod } from "@slipway/kube";
import type { CauseCode } from "./causes.ts";
import { containerOf, type Finding, isAbout, of, oneLine, type PodView } from "./finding.ts";

/** Passing trouble between node and registry. */
const NETWORK_BUDGET_MS = 120_000;
/**
 * Until the registry was asked; then the node is believed. The kubelet asks again only after its back-off of 10 s, so
 * patience that ends before brings no second answer.
 */
const NOT_FOUND_BUDGET_MS = 5_000;

export function pullFailure(pod: Pod, status: ContainerStatus, view: PodView): Finding {
  const reason = status.state?.waiting?.reason;
  const image = containerOf(pod, status.name)?.image ?? status.image;
  const said = lastAnswer(status, view) ?? reason ?? "no reason given";
  const pull = (code: CauseCode, what: string, budgetMs: number): Finding =>
    of(pod, status.name, { code, why: `image ${image} ${what}: ${said}`, budgetMs }, `pull/${code}`);
  if (reason === "InvalidImageName") return pull("ImageNameInvalid", "has an invalid name", 0);
  if (reason === "ErrImageNeverPull") {
    return pull("ImageNotFound", "is not on the node and may not be pulled", 0);
  }
  const kind = pullClass(withoutNames(said, image));
  switch (kind) {
    case "ImagePullRateLimited":
      return pull(kind, "is held back by the registry's rate limit", NETWORK_BUDGET_MS);
    case "ImageArchitecture":
      return pull(kind, "was not built for the node's architecture", 0);
    case "ImagePullTLS":
      return pull(kind, "cannot be pulled, the registry's certificate is not trusted", NETWORK_BUDGET_MS);
    case "ImagePullAuth":
      return pull(kind, "may not be pulled by the node", 0);
    case "ImageNotFound":
      return notFound(pull, view.images.get(image));
    default:
      return pull("ImagePullNetwork", "cannot be pulled", NETWORK_BUDGET_MS);
  }
}

/** By the words of Docker, containerd and the registries behind them; undefined is anything else, a network. */
export function pullClass(said: string): CauseCode | undefined {
  if (/\b429\b|toomanyrequests|too many requests|pull QPS exceeded/i.test(said))
    return "ImagePullRateLimited";
  if (/no match for platform|no matching manifest for/i.test(said)) return "ImageArchitecture";
  if (/x509:|tls: |certificate signed by|server gave HTTP response to HTTPS client/i.test(said)) {
    return "ImagePullTLS";
  }
  // A registry's own trouble first: "failed to authorize: … 503 Service Unavailable" is no refusal.
  if (/\b50[0234]\b|timeout|timed out|connection (?:refused|reset)|no such host|\bEOF\b/i.test(said)) {
    return undefined;
  }
  // Docker Hub and Docker itself answer a missing repository with "pull access denied … or may require login".
  if (
    /\b40[13]\b|unauthorized|access denied|\bdenied\b|forbidden|authentication required|no basic auth/i.test(
      said,
    )
  ) {
    return "ImagePullAuth";
  }
  if (/\b404\b|not found|manifest unknown|name unknown/i.test(said)) return "ImageNotFound";
  return undefined;
}

/** The newest message that is an answer and not only "Back-off" or "Error: ErrImagePull". */
function lastAnswer(status: ContainerStatus, view: PodView): string | undefined {
  const messages = [
    ...view.events
      .filter((event) => event.reason === "Failed" && isAbout(event, status.name))
      .map((event) => event.message ?? ""),
    status.state?.waiting?.message ?? "",
  ];
  const answer = messages.findLast((message) => message !== "" && !/^Back-off|^Error: /.test(message));
  return answer === undefined ? undefined : oneLine(answer);
}

/** A repository may be called `denied` and a digest may hold `404`: names are no answers. */
function withoutNames(said: string, image: string): string {
  const [name = image] = image.split("@");
  const repository = name.replace(/:[\w.-]+$/, "");
  return said
    .replaceAll(image, "")
    .replaceAll(name, "")
    .replaceAll(repository, "")
    .replaceAll(/sha256:\w+/g, "");
}

/**
 * The preflight found the image, so a node that does not is a contradiction: ask the registry once more. Gone means
 * deleted since; still there means that the node's way to it is wrong, which may pass.
 */
function notFound(
  pull: (code: CauseCode, what: string, budgetMs: number) => Finding,
  registry: "exists" | "missing" | "unknown" | undefined,
): Finding {
  if (registry === "missing") return pull("ImageNotFound", "is not in the registry", 0);
  if (registry === "exists") {
    return pull("ImagePullNetwork", "is in the registry but the node cannot find it", NETWORK_BUDGET_MS);
  }
  return pull("ImageNotFound", "is not in the registry", NOT_FOUND_BUDGET_MS);
}
