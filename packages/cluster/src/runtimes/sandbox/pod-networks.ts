/**
 * Network, hostname and IPC namespaces of pods, kept alive by bind mounts in the node agent's mount namespace, each
 * joined to the agent's bridge with an address of its own. A few are prepared ahead: making one takes some ten
 * milliseconds, which a pod that starts should not wait for.
 */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Tools } from "./protocol.ts";

const execute = promisify(execFile);

/** A failure says what the program said: the script itself means nothing to who reads the pod's event. */
async function run(
  program: string,
  parameters: readonly string[],
  options: { readonly env?: Record<string, string> } = {},
): Promise<void> {
  try {
    await execute(program, parameters, options);
  } catch (error) {
    const said = String((error as { stderr?: unknown }).stderr ?? "").trim();
    throw said === "" ? error : new Error(said.replaceAll(/\s*\n\s*/g, "; "), { cause: error });
  }
}
const READY_AHEAD = 4;

export interface PodNetwork {
  readonly ip: string;
  /** Holds the files `net`, `uts` and `ipc`. */
  readonly directory: string;
  readonly link: string;
}

/**
 * $1 folder, $2 link, $3 address/bits, $4 gateway, $5 service range; tools in the environment. The namespace is named
 * from within the folder, because a batch of `ip` has words, and a path may have spaces.
 */
const CREATE = `
set -e
mkdir -p "$1"; cd "$1"; : >"$1/net"; : >"$1/uts"; : >"$1/ipc"
"$UNSHARE" --net="$1/net" --uts="$1/uts" --ipc="$1/ipc" "$SH" -c '
  echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start
  { echo "0 2147483647" >/proc/sys/net/ipv4/ping_group_range; } 2>/dev/null || :'
printf 'link add %s type veth peer name eth0 netns ./net\\nlink set %s master br0 up\\n' "$2" "$2" | "$IP" -batch -
printf 'link set lo up\\naddr add %s dev eth0\\nlink set eth0 up\\nroute add %s via %s\\n' "$3" "$5" "$4" |
  "$NSENTER" --net="$1/net" "$IP" -batch -
`;

/** $1 folder, $2 address, $3 gateway, $4 the pod's own. In the table `local`, because that is asked before all others. */
const LEND_LOOPBACK = `
set -e
"$NSENTER" --net="$1/net" "$SH" -c 'echo 1 >/proc/sys/net/ipv4/conf/eth0/route_localnet'
"$NSENTER" --net="$1/net" "$IP" route replace "$2/32" via "$3" dev eth0 src "$4" table local
`;

/** The address is then refused at once instead of after three seconds of asking who has it. */
const REMOVE = `
printf 'link del %s\\nroute replace unreachable %s/32\\n' "$2" "$3" | "$IP" -force -batch -
"$UMOUNT" "$1/net" "$1/uts" "$1/ipc"
rm -rf "$1"
`;

export interface NetworkOptions {
  readonly workspace: string;
  readonly podCIDR: string;
  readonly serviceCIDR: string;
  readonly tools: Tools;
}

export class PodNetworks {
  readonly #options: NetworkOptions;
  readonly #prefix: string;
  readonly #environment: Record<string, string>;
  readonly #ready: PodNetwork[] = [];
  #filling = false;
  #next = 2; // .0.0 is the network, .0.1 the bridge

  constructor(options: NetworkOptions) {
    this.#options = options;
    this.#prefix = options.podCIDR.split(".").slice(0, 2).join(".");
    this.#environment = shellEnvironment(options.tools);
  }

  get gateway(): string {
    return `${this.#prefix}.0.1`;
  }

  /** Brings up the agent's own side. Services are local addresses here; nothing else has a route. */
  async open(): Promise<void> {
    const batch = [
      "link set lo up",
      // An address of its own: otherwise it takes the lowest of its ports', changes as pods come and go, and every
      // other pod sends into the void until it asks again who the gateway is.
      "link add br0 address 02:00:00:00:00:01 type bridge",
      `addr add ${this.gateway}/16 dev br0`,
      "link set br0 up",
      `route add local ${this.#options.serviceCIDR} dev lo`,
    ].join("\n");
    await run(
      this.#options.tools.sh,
      [
        "-c",
        'printf "%s\\n" "$1" | "$IP" -batch - && echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start',
        "-",
        batch,
      ],
      { env: this.#environment },
    );
  }

  async take(): Promise<PodNetwork> {
    const network = this.#ready.shift() ?? (await this.#create());
    void this.fill();
    return network;
  }

  /** Prepares networks until enough are ready; failures show when a pod then has to make its own. */
  async fill(): Promise<void> {
    if (this.#filling) return;
    this.#filling = true;
    try {
      while (this.#ready.length < READY_AHEAD) this.#ready.push(await this.#create());
    } catch {
      // the pod that needs one tries again and reports why
    } finally {
      this.#filling = false;
    }
  }

  async release(network: PodNetwork): Promise<void> {
    await run(this.#options.tools.sh, ["-c", REMOVE, "-", network.directory, network.link, network.ip], {
      env: this.#environment,
    });
  }

  /** Lets pods reach addresses of the agent's own loopback that they are lent. */
  async openLoopback(): Promise<void> {
    await run(this.#options.tools.sh, ["-c", "echo 1 >/proc/sys/net/ipv4/conf/br0/route_localnet"]);
  }

  /** From now on this address of 127.0.0.0/8 is the agent's in the pod, and the rest of them the pod's. */
  async lendLoopback(network: PodNetwork, ip: string): Promise<void> {
    await run(
      this.#options.tools.sh,
      ["-c", LEND_LOOPBACK, "-", network.directory, ip, this.gateway, network.ip],
      { env: this.#environment },
    );
  }

  /** From now on nothing goes from the pod to these addresses, and so no connection between them comes about. */
  async part(network: PodNetwork, from: readonly string[]): Promise<void> {
    if (from.length === 0) return;
    await run(
      this.#options.tools.sh,
      [
        "-c",
        'printf "%s\\n" "$2" | "$NSENTER" --net="$1/net" "$IP" -batch -',
        "-",
        network.directory,
        from.map((ip) => `route replace unreachable ${ip}/32`).join("\n"),
      ],
      { env: this.#environment },
    );
  }

  /** Addresses go round before one is used again, so that a late connection meets nobody instead of a stranger. */
  async #create(): Promise<PodNetwork> {
    const index = this.#next;
    this.#next = index >= 65_533 ? 2 : index + 1;
    const network = {
      ip: `${this.#prefix}.${index >> 8}.${index & 255}`,
      directory: join(this.#options.workspace, "networks", String(index)),
      link: `pod${index}`,
    };
    if (index === 2) await this.#forgetUnreachable();
    await run(
      this.#options.tools.sh,
      [
        "-c",
        CREATE,
        "-",
        network.directory,
        network.link,
        `${network.ip}/16`,
        this.gateway,
        this.#options.serviceCIDR,
      ],
      { env: this.#environment },
    );
    return network;
  }

  async #forgetUnreachable(): Promise<void> {
    await run(this.#options.tools.ip, ["route", "flush", "type", "unreachable"]).catch(() => {});
  }
}

/** Tools under the names that the scripts use. */
export function shellEnvironment(tools: Tools): Record<string, string> {
  return {
    PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
    UNSHARE: tools.unshare,
    NSENTER: tools.nsenter,
    MOUNT: tools.mount,
    UMOUNT: tools.umount,
    IP: tools.ip,
    SH: tools.sh,
  };
}
