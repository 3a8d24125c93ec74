import { randomBytes } from "node:crypto";

/**
 * Randomness as a value that is passed in, seeded, and made of integers only, so that a seed means the same run
 * on every machine and in five years. The generator is xoshiro128** (Blackman and Vigna, 2018), its state filled
 * from the seed by splitmix32.
 */
export interface Random {
  /** A whole number from 0 to `below` - 1. */
  int(below: number): number;
  /** True `numerator` times out of `denominator`. */
  ratio(numerator: number, denominator: number): boolean;
  /** One of `items`, which must not be empty. */
  pick<T>(items: readonly T[]): T;
  /** `length` characters of the alphabet that Kubernetes uses for generated names (no vowels, nothing alike). */
  name(length: number): string;
  /** A UUID, version 4. */
  uuid(): string;
}

const NAME_ALPHABET = "bcdfghjklmnpqrstvwxz2456789";

export function seededRandom(seed: number): Random {
  let mix = seed >>> 0;
  const splitmix = (): number => {
    mix = (mix + 0x9e3779b9) >>> 0;
    let z = mix;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
  let a = splitmix();
  let b = splitmix();
  let c = splitmix();
  let d = splitmix();
  const rotl = (x: number, k: number): number => ((x << k) | (x >>> (32 - k))) >>> 0;
  const next = (): number => {
    const result = Math.imul(rotl(Math.imul(b, 5) >>> 0, 7), 9) >>> 0;
    const t = (b << 9) >>> 0;
    c = (c ^ a) >>> 0;
    d = (d ^ b) >>> 0;
    b = (b ^ c) >>> 0;
    a = (a ^ d) >>> 0;
    c = (c ^ t) >>> 0;
    d = rotl(d, 11);
    return result;
  };
  // Rejection keeps every value equally likely; a plain modulo would favour the small ones.
  const int = (below: number): number => {
    if (!Number.isInteger(below) || below < 1 || below > 0x1_0000_0000) throw new RangeError(`int(${below})`);
    const limit = Math.floor(0x1_0000_0000 / below) * below;
    let value = next();
    while (value >= limit) value = next();
    return value % below;
  };
  const hex = (digits: number): string => {
    let text = "";
    for (let digit = 0; digit < digits; digit += 1) text += int(16).toString(16);
    return text;
  };
  return {
    int,
    ratio: (numerator, denominator) => int(denominator) < numerator,
    pick: (items) => {
      if (items.length === 0) throw new RangeError("pick from an empty list");
      return items[int(items.length)] as (typeof items)[number];
    },
    name: (length) => {
      let text = "";
      for (let index = 0; index < length; index += 1) text += NAME_ALPHABET[int(NAME_ALPHABET.length)];
      return text;
    },
    uuid: () => `${hex(8)}-${hex(4)}-4${hex(3)}-${"89ab"[int(4)]}${hex(3)}-${hex(12)}`,
  };
}

/** A generator seeded from the operating system, for production. */
export function systemRandom(): Random {
  return seededRandom(randomBytes(4).readUInt32LE()); // Web Crypto, the other way, takes 10 ms to load
}
