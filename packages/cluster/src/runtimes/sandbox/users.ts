/** Names of users and groups as the image's own /etc/passwd and /etc/group know them. */
import { ContainerStartError } from "../runtime.ts";
import type { RootView } from "./root-view.ts";

export interface Identity {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups: those of /etc/group that list the user. */
  readonly groups: readonly number[];
  readonly home: string;
}

export interface IdentityRequest {
  readonly imageUser: string;
  readonly user: number | undefined;
  readonly group: number | undefined;
  readonly runAsNonRoot: boolean;
}

/** Who a container runs as: the pod's runAsUser and runAsGroup before the image's USER. */
export function resolveIdentity(view: RootView, request: IdentityRequest): Identity {
  const [imageUser = "", imageGroup] = request.imageUser.split(":");
  const passwd = fieldsOf(view.readText("/etc/passwd"));
  const groups = fieldsOf(view.readText("/etc/group"));
  checkNonRoot(request, imageUser);
  const wanted = request.user === undefined ? imageUser : String(request.user);
  const entry = passwd.find((line) => line[0] === wanted) ?? passwd.find((line) => line[2] === wanted);
  const uid = wanted === "" ? 0 : /^\d+$/.test(wanted) ? Number(wanted) : Number(entry?.[2] ?? Number.NaN);
  if (Number.isNaN(uid)) {
    throw new ContainerStartError(
      "CreateContainerError",
      `unable to find user ${wanted}: no matching entries in passwd file`,
    );
  }
  const own = entry ?? passwd.find((line) => line[2] === String(uid));
  // A group in the image's USER goes with the image's user only, not with another one that the pod asks for.
  const group =
    request.group !== undefined
      ? String(request.group)
      : ((request.user === undefined ? imageGroup : undefined) ?? own?.[3] ?? "0");
  const gid = /^\d+$/.test(group) ? Number(group) : Number(groups.find((line) => line[0] === group)?.[2]);
  if (Number.isNaN(gid)) {
    throw new ContainerStartError(
      "CreateContainerError",
      `unable to find group ${group}: no matching entries in group file`,
    );
  }
  const supplementary = groups
    .filter((line) => own !== undefined && (line[3] ?? "").split(",").includes(own[0] as string))
    .map((line) => Number(line[2]))
    .filter((id) => Number.isInteger(id) && id !== gid);
  return { uid, gid, groups: supplementary, home: own?.[5] || "/" };
}

/** kubelet's verifyRunAsNonRoot, with its messages. */
function checkNonRoot(request: IdentityRequest, imageUser: string): void {
  if (!request.runAsNonRoot) return;
  if (request.user !== undefined) {
    if (request.user !== 0) return;
    throw new ContainerStartError(
      "CreateContainerConfigError",
      "container's runAsUser breaks non-root policy",
    );
  }
  if (imageUser === "" || imageUser === "0") {
    throw new ContainerStartError(
      "CreateContainerConfigError",
      "container has runAsNonRoot and image will run as root",
    );
  }
  if (!/^\d+$/.test(imageUser)) {
    throw new ContainerStartError(
      "CreateContainerConfigError",
      `container has runAsNonRoot and image has non-numeric user (${imageUser}), cannot verify user is non-root`,
    );
  }
}

function fieldsOf(text: string | undefined): string[][] {
  return (text ?? "")
    .split("\n")
    .filter((line) => line.includes(":") && !line.startsWith("#"))
    .map((line) => line.split(":"));
}
