/**
 * The way from a process to one cluster, and what can go wrong on it. Every call takes a few milliseconds each way, so
 * that two processes interleave; a cut swallows what is sent (a firewall, not a refusal), so callers learn of it by their
 * own deadline only.
 */
import { type Clock, type Random, SlipwayError } from "@slipway/base";
import { statusError } from "@slipway/kube";

/** The deadline of a request in the real client. */
const DEADLINE_MS = 10_000;

export class Network {
  readonly #clock: Clock;
  readonly #random: Random;
  #cutSinceMs = 0;
  #cutUntilMs = 0;
  #slowUntilMs = 0;
  #slowMs = 0;
  #errorsUntilMs = 0;
  #lostReplies = 0;
  #watchEnds = new Set<(how: "cut" | "closed") => void>();

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  cut(forMs: number): void {
    if (!this.#isCut()) this.#cutSinceMs = this.#clock.now();
    this.#cutUntilMs = this.#clock.now() + forMs;
    this.#endWatches("cut");
  }

  /** For how long nothing has come through. */
  silentMs(): number {
    return this.#isCut() ? this.#clock.now() - this.#cutSinceMs : 0;
  }

  slowDown(ms: number, forMs: number): void {
    this.#slowMs = ms;
    this.#slowUntilMs = this.#clock.now() + forMs;
  }

  /** Two of five calls are answered 500 or 429. */
  answerErrors(forMs: number): void {
    this.#errorsUntilMs = this.#clock.now() + forMs;
  }

  /** The next write is stored, and its answer does not arrive. */
  loseReply(): void {
    this.#lostReplies += 1;
  }

  closeWatches(): void {
    this.#endWatches("closed");
  }

  heal(): void {
    this.#cutUntilMs = 0;
    this.#slowUntilMs = 0;
    this.#errorsUntilMs = 0;
    this.#lostReplies = 0;
  }

  /** Sends a request: rejects as the client would, or does it and brings the answer back. */
  async call<T>(cluster: string, isWrite: boolean, perform: () => Promise<T>): Promise<T> {
    await this.#travel();
    if (this.#isCut()) await this.#silence(cluster);
    if (this.#clock.now() < this.#errorsUntilMs && this.#random.ratio(2, 5)) {
      throw this.#random.ratio(1, 2)
        ? statusError(500, "InternalError", "Internal error occurred: etcdserver: leader changed")
        : statusError(429, "TooManyRequests", "the server has received too many requests");
    }
    const outcome = await perform().then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    );
    if (isWrite && this.#lostReplies > 0) {
      this.#lostReplies -= 1;
      throw unreachable(cluster, "the connection was closed before the answer came");
    }
    await this.#travel();
    // Cut while the answer was on its way: done, and nobody knows.
    if (this.#isCut()) await this.#silence(cluster);
    if ("error" in outcome) throw outcome.error;
    return outcome.value;
  }

  /** Resolves when a watch that is open now is ended by the network. */
  watchEnd(): { readonly ended: Promise<"cut" | "closed">; readonly forget: () => void } {
    const { promise, resolve } = Promise.withResolvers<"cut" | "closed">();
    this.#watchEnds.add(resolve);
    return { ended: promise, forget: () => this.#watchEnds.delete(resolve) };
  }

  /** A cut watch is silent until its reader's own idle deadline. */
  async silence(cluster: string): Promise<never> {
    return this.#silence(cluster);
  }

  async #silence(cluster: string): Promise<never> {
    await this.#clock.sleep(DEADLINE_MS);
    throw unreachable(cluster, `no answer within ${DEADLINE_MS / 1000} s`);
  }

  #travel(): Promise<void> {
    const slow = this.#clock.now() < this.#slowUntilMs ? this.#slowMs : 0;
    return this.#clock.sleep(1 + this.#random.int(4) + slow);
  }

  #isCut(): boolean {
    return this.#clock.now() < this.#cutUntilMs;
  }

  #endWatches(how: "cut" | "closed"): void {
    const ends = this.#watchEnds;
    this.#watchEnds = new Set();
    for (const end of ends) end(how);
  }
}

function unreachable(cluster: string, message: string): SlipwayError {
  return new SlipwayError({
    code: "CLUSTER_UNREACHABLE",
    where: `clusters/${cluster}`,
    message,
    exitCode: 3,
  });
}
