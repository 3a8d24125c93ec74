/** One look into a container: each thing is read once, and only what a pending check needs. */
import type { Clock } from "@slipway/base";
import { type Check, type CheckOf, fail, holdsOfNothing, type Judgement, unknown } from "../check.ts";
import {
  type Container,
  type ContainerFiles,
  type ContainerProcess,
  type ContainerState,
  isUnseen,
  type ListeningSocket,
  type Unseen,
} from "../engines/engine.ts";
import { type Accounts, accountsOf } from "../judge/accounts.ts";
import { judgeStill } from "../judge/judge.ts";
import {
  judgeDns,
  judgeHttp,
  judgeLog,
  judgePort,
  judgeProcess,
  judgeReach,
  judgeState,
  showState,
} from "../judge/running.ts";
import { readTables, type Tables } from "./batch.ts";
import { judgeSafely, NotSeen } from "./outcome.ts";
import type { Look } from "./settle.ts";

const REQUEST_MS = 5_000;

/** `conditions`: everything that is expected of it, because an end that is expected is no failure. */
export async function lookInto(
  container: Container,
  clock: Clock,
  conditions: readonly Check[],
  defaultAccounts?: ContainerFiles,
): Promise<Look> {
  const state = await container.state();
  const isGone = state.status === "exited";
  const looker = new Looker(container, clock, defaultAccounts);
  return {
    // A restart policy may bring it back.
    isFinal: isGone && container.service.restart === "no",
    judge: async (check) => {
      if (isGone && needsLife(check)) return gone(check, state);
      const judgement = await judgeSafely(() => looker.judge(check, state));
      return isGone ? afterTheEnd(check, judgement, state, conditions) : judgement;
    },
  };
}

/** What failed early had no time to log what its log should lack; one that ended well, or as expected, has said it all. */
export function afterTheEnd(
  check: Check,
  judgement: Judgement,
  state: Pick<ContainerState, "status" | "exitCode" | "signal">,
  conditions: readonly Check[],
): Judgement {
  if (check.kind !== "log" || judgement.verdict !== "pass" || !holdsOfNothing(check)) return judgement;
  const expected = conditions.flatMap((one) =>
    one.kind === "container" && one.expectation.matcher === "exitCode" ? [one.expectation.code] : [],
  );
  const isAsExpected =
    state.signal === undefined && state.exitCode !== undefined && [0, ...expected].includes(state.exitCode);
  if (isAsExpected) return judgement;
  const why = `the container has failed (${showState(state as ContainerState)}), so it may not have come to log it`;
  return unknown(why, "See why it ended, or expect it: t.container.exitCode(3).");
}

/** A log, a state and files are there after the end too. */
const needsLife = (check: Check): boolean => ["port", "process", "http", "dns", "reach"].includes(check.kind);

/** Of what has ended nothing is listening, but neither was it seen working without: a negative check is unknown. */
function gone(check: Check, state: ContainerState): Judgement {
  const why = `the container has ended (${showState(state)})`;
  if (!holdsOfNothing(check)) return fail(why);
  return unknown(`${why}, so there was nothing to look at`, "See why it ended.");
}

/** Each observation is a promise that is made once and shared. */
class Looker {
  readonly #container: Container;
  readonly #clock: Clock;
  readonly #layers: ContainerFiles | undefined;
  readonly #made = new Map<unknown, Promise<unknown>>();

  constructor(container: Container, clock: Clock, layers: ContainerFiles | undefined) {
    this.#container = container;
    this.#clock = clock;
    this.#layers = layers;
  }

  async judge(check: Check, state: ContainerState): Promise<Judgement> {
    const now = this.#clock.now();
    switch (check.kind) {
      case "port":
        return judgePort(check, await this.#sockets());
      case "process":
        return judgeProcess(check, await this.#processes(), await this.#accounts(check));
      case "log":
        return judgeLog(check, await this.#once("log", () => this.#container.logs()));
      case "container":
        return judgeState(check, state);
      case "http":
        return judgeHttp(check, await this.#http(check), now);
      case "dns": {
        const { name } = check.resource;
        return judgeDns(
          check,
          await this.#once(`dns ${name}`, () => this.#container.resolve(name, REQUEST_MS)),
        );
      }
      case "reach": {
        const { host, port } = check.resource;
        const reach = () => this.#container.reach(host, port, REQUEST_MS);
        return judgeReach(check, await this.#once(`reach ${host}:${port}`, reach));
      }
      case "image":
      case "command":
      case "workload":
      case "object":
      case "objects":
        throw new TypeError(`${check.kind} is not a condition of a container`);
      default:
        return judgeStill(check, await this.#files(), now);
    }
  }

  #http(check: CheckOf<"http">) {
    const { url, method, headers, body, isInsecure } = check.resource;
    const request = { url, method, headers, body, isInsecure, timeoutMs: REQUEST_MS };
    return this.#once(check.resource, () => this.#container.http(request));
  }

  #files(): Promise<ContainerFiles> {
    return this.#once("files", () => this.#container.files());
  }

  async #accounts(check: CheckOf<"process">): Promise<Accounts | undefined> {
    if (check.expectation.matcher !== "user" || /^\d+$/.test(check.expectation.user)) return undefined;
    return accountsOf(this.#layers ?? (await this.#files()));
  }

  async #sockets(): Promise<readonly ListeningSocket[]> {
    const direct = await this.#shared("sockets", () => this.#container.sockets());
    return isUnseen(direct) ? (await this.#tables()).sockets : direct;
  }

  async #processes(): Promise<readonly ContainerProcess[]> {
    const direct = await this.#shared("processes", () => this.#container.processes());
    if (!isUnseen(direct)) return direct;
    const { processes } = await this.#tables();
    if (processes !== undefined) return processes;
    throw new NotSeen({ unseen: "there is no cat in the container, so command lines could not be read" });
  }

  #tables(): Promise<Tables> {
    return this.#once("tables", () => readTables(this.#container));
  }

  async #once<T extends object>(key: unknown, make: () => Promise<T | Unseen>): Promise<T> {
    const value = await this.#shared(key, make);
    if (isUnseen(value)) throw new NotSeen(value);
    return value as T;
  }

  #shared<T>(key: unknown, make: () => Promise<T>): Promise<T> {
    const made = this.#made.get(key) as Promise<T> | undefined;
    if (made !== undefined) return made;
    const promise = make();
    this.#made.set(key, promise);
    return promise;
  }
}
