/**
 * The folder in which programs of a pod find their way to the API server: the authority's certificate, the namespace and a
 * token, as client libraries read them ("in-cluster configuration").
 *
 * Kubernetes puts it into the pod's spec as a projected volume when the pod is created (the ServiceAccount admission
 * plugin). Here the kubelet adds it, so that pods look as they were written.
 */
import type { Pod } from "@slipway/kube";
import type { ContainerMount } from "../runtimes/runtime.ts";
import type { AccountFiles, EnvContext } from "./env.ts";

const PATH = "/var/run/secrets/kubernetes.io/serviceaccount";
const MODE = 0o644;
/** No volume of a pod has a dot in its name. */
const VOLUME = "kube-api-access.account";

/**
 * None when the pod, or else its account, does not want it, or has a volume of its own there; nor in a folder of this machine,
 * where nothing is to be made.
 */
export function accountMounts(
  { pod, container, snapshot }: EnvContext,
  files: AccountFiles,
): readonly ContainerMount[] {
  const { namespace = "" } = pod.metadata;
  const account = accountOf(pod);
  const wanted =
    pod.spec.automountServiceAccountToken ??
    snapshot.get("ServiceAccount", namespace, account)?.automountServiceAccountToken ??
    true;
  const isTaken = container.volumeMounts?.some(({ name, mountPath }) => {
    const path = mountPath.replace(/\/+$/, "");
    const isHost = pod.spec.volumes?.some((volume) => volume.name === name && volume.hostPath !== undefined);
    // Most images have /var/run as a link to /run.
    const isAround = [PATH, PATH.replace(/^\/var/, "")].some((own) => own.startsWith(`${path}/`));
    return path === PATH || (isHost === true && isAround);
  });
  if (!wanted || isTaken === true) return [];
  const file = (path: string, text: string) => ({ path, content: Buffer.from(text, "utf8"), mode: MODE });
  return [
    {
      kind: "files",
      volume: VOLUME,
      path: PATH,
      readOnly: true,
      files: [
        file("ca.crt", files.ca),
        file("namespace", namespace),
        file("token", files.tokenOf(namespace, account)),
      ],
    },
  ];
}

/** The token alone, for a volume that asks for it; undefined where the API server cannot be reached. */
export function accountToken({ pod, account }: EnvContext): Uint8Array | undefined {
  if (account === undefined) return undefined;
  return Buffer.from(account.tokenOf(pod.metadata.namespace ?? "", accountOf(pod)), "utf8");
}

const accountOf = ({ spec }: Pod): string => spec.serviceAccountName ?? "default";
