/**
 * Ids for values that come again and again (user agents, referers, routes). Capped, because whoever sends requests
 * chooses the values: beyond the cap a value is `other`, id 0, and the number of those is counted.
 */
export class Dictionary {
  readonly kind: string;
  readonly #cap: number;
  readonly #ids = new Map<string, number>();
  readonly #values: (string | undefined)[] = ["other"];
  #unsaved: { readonly id: number; readonly value: string }[] = [];
  /** Values that found no room. */
  overflow = 0;

  /** `known`: what the warehouse has already, id → value. */
  constructor(kind: string, cap: number, known: Iterable<readonly [number, string]> = []) {
    this.kind = kind;
    this.#cap = cap;
    for (const [id, value] of known) {
      this.#ids.set(value, id);
      this.#values[id] = value;
    }
  }

  get size(): number {
    return this.#ids.size;
  }

  idOf(value: string): number {
    const known = this.#ids.get(value);
    if (known !== undefined) return known;
    if (this.#ids.size >= this.#cap) {
      this.overflow += 1;
      return 0;
    }
    const id = this.#ids.size + 1;
    // A slice of a chunk would keep the whole chunk alive: V8 stores it as a reference into its parent.
    const own = Buffer.from(value, "utf8").toString("utf8");
    this.#ids.set(own, id);
    this.#values[id] = own;
    this.#unsaved.push({ id, value: own });
    return id;
  }

  /** The value behind an id; `other` for 0 and for ids that are not here. */
  valueOf(id: number): string {
    return this.#values[id] ?? "other";
  }

  /** What was added since the last call; to be stored in the same transaction as the rows that use it. */
  takeUnsaved(): readonly { readonly id: number; readonly value: string }[] {
    const taken = this.#unsaved;
    this.#unsaved = [];
    return taken;
  }

  /** Gives back what was taken when its transaction failed. */
  putBack(taken: readonly { readonly id: number; readonly value: string }[]): void {
    this.#unsaved = [...taken, ...this.#unsaved];
  }
}
