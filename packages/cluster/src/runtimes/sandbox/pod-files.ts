/** The folder of a pod, with the files that every container of it sees: hosts, hostname, resolv.conf. */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Request } from "./protocol.ts";

export const DNS_IP = "10.96.0.10";
/** Where programs that know Docker's networks look for names. */
export const PROJECT_DNS_IP = "127.0.0.11";

export function writePodFiles(
  directory: string,
  pod: Pick<Extract<Request, { do: "start-pod" }>, "hostname" | "namespace" | "hostAliases" | "names">,
  ip: string,
): void {
  for (const name of ["shm", "volumes", "files"]) mkdirSync(join(directory, name), { recursive: true });
  chmodSync(join(directory, "shm"), 0o1777);
  const { hostname, namespace } = pod;
  const aliases = pod.hostAliases.map((alias) => `${alias.ip}\t${alias.hostnames.join("\t")}\n`);
  writeFileSync(
    join(directory, "hosts"),
    `127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n${ip}\t${hostname}\n${aliases.join("")}`,
  );
  writeFileSync(join(directory, "hostname"), `${hostname}\n`);
  writeFileSync(
    join(directory, "resolv.conf"),
    pod.names === "project"
      ? `nameserver ${PROJECT_DNS_IP}\noptions ndots:0\n`
      : `search ${namespace}.svc.cluster.local svc.cluster.local cluster.local\nnameserver ${DNS_IP}\noptions ndots:5\n`,
  );
}
