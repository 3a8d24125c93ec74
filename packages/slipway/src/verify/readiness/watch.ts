/**
 * Looks at one service until it is as its spec file wants it, beside whoever waits: an answer that takes long must not keep
 * anybody from seeing that another service has ended.
 */
import type { Clock } from "@slipway/base";
import { type Container, type ContainerState, isUnseen, type Unseen } from "../engines/engine.ts";
import { readTables } from "../observe/batch.ts";
import type { Leaf, PortsForm, Readiness } from "./forms.ts";
import {
  judgeAnswer,
  judgeCmd,
  judgeExit,
  judgeHealth,
  judgeLog,
  judgePorts,
  judgeUnseen,
  type LeafSight,
  type ReadinessSight,
} from "./judge.ts";
import { leavesOf, urlOf } from "./readiness.ts";

const FIRST_PAUSE_MS = 50;
const LAST_PAUSE_MS = 500;

export interface ReadinessWatchOptions {
  readonly container: Container;
  /** With its ports (`completedFor`). */
  readonly readiness: Readiness;
  readonly clock: Clock;
  /** Aborts when nobody asks any more. */
  readonly over: AbortSignal;
}

export class ReadinessWatch {
  readonly #options: ReadinessWatchOptions;
  readonly #beganAt: number;
  #life: Life;

  constructor(options: ReadinessWatchOptions) {
    this.#options = options;
    this.#beganAt = options.clock.monotonic();
    this.#life = new Life(undefined);
    void this.#run();
  }

  get sight(): ReadinessSight {
    const { leaves, isLast } = this.#life;
    return { leaves, isLast, waitedMs: this.#options.clock.monotonic() - this.#beganAt };
  }

  async #run(): Promise<void> {
    const { clock, over } = this.#options;
    for (let pause = FIRST_PAUSE_MS; !over.aborted; pause = Math.min(pause * 1.5, LAST_PAUSE_MS)) {
      // An engine that fails is told by whoever waits, who asks it too.
      await this.#round().catch(() => {});
      await clock.sleep(pause, over).catch(() => {});
    }
  }

  async #round(): Promise<void> {
    const { container, readiness } = this.#options;
    const state = await container.state();
    if (state.startedAtMs !== this.#life.startedAtMs) this.#life = new Life(state.startedAtMs);
    const life = this.#life;
    const pending = leavesOf(readiness).filter((leaf) => life.leaves.get(leaf)?.is !== "held");
    const isRead = pending.some((leaf) => leaf.form === "log" && life.busy.has(leaf));
    const looks = pending.filter((leaf) => !life.busy.has(leaf)).map((leaf) => this.#look(leaf, state, life));
    // A log that was being read when it ended lacks its last lines.
    if (state.status !== "exited" || isRead) return;
    await Promise.all(looks);
    life.isLast = true;
  }

  /** A look that takes long is not waited for; until it has ended, that leaf is not looked at again. */
  async #look(leaf: Leaf, state: ContainerState, life: Life): Promise<void> {
    life.busy.add(leaf);
    try {
      const seen = await lookAt(leaf, state, this.#options.container);
      if (seen === undefined) return;
      if (!("unseen" in seen)) {
        life.leaves.set(leaf, seen);
        return;
      }
      const times = (life.unseen.get(leaf) ?? 0) + 1;
      life.unseen.set(leaf, times);
      life.leaves.set(leaf, judgeUnseen(leaf, seen, times));
    } catch (error) {
      const soFar = error instanceof Error ? error.message : String(error);
      life.leaves.set(leaf, { is: "pending", soFar });
    } finally {
      life.busy.delete(leaf);
    }
  }
}

/** From one start to the next: what was seen before a restart says nothing. */
class Life {
  readonly startedAtMs: number | undefined;
  readonly leaves = new Map<Leaf, LeafSight>();
  readonly busy = new Set<Leaf>();
  readonly unseen = new Map<Leaf, number>();
  isLast = false;

  constructor(startedAtMs: number | undefined) {
    this.startedAtMs = startedAtMs;
  }
}

/** Undefined: there is nothing to look at. */
async function lookAt(
  leaf: Leaf,
  state: ContainerState,
  container: Container,
): Promise<LeafSight | Unseen | undefined> {
  if (leaf.form === "exit") return judgeExit(leaf, state);
  if (leaf.form === "log") return judgeLog(leaf, await container.logs());
  if (state.status !== "running") return undefined;
  switch (leaf.form) {
    case "health":
      return judgeHealth(state);
    case "ports":
      return lookAtPorts(leaf, container);
    case "cmd": {
      const { argv, environment, user, workingDir, timeoutMs } = leaf;
      const options = {
        environment,
        timeoutMs,
        ...(user === undefined ? {} : { user }),
        ...(workingDir === undefined ? {} : { workingDir }),
      };
      return judgeCmd(await container.exec(argv, options));
    }
    case "http": {
      const { method, headers, isInsecure, timeoutMs } = leaf;
      const request = { url: urlOf(leaf), method, headers, body: undefined, timeoutMs, isInsecure };
      const answer = await container.http(request);
      return isUnseen(answer) ? answer : judgeAnswer(leaf, answer);
    }
  }
}

async function lookAtPorts(leaf: PortsForm, container: Container): Promise<LeafSight | Unseen> {
  const direct = await container.sockets();
  if (!isUnseen(direct)) return judgePorts(leaf, direct);
  const tables = await readTables(container);
  return isUnseen(tables) ? tables : judgePorts(leaf, tables.sockets);
}
