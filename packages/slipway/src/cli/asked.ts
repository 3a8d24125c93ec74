/** What else people write for `--help` and `--version`. */

interface Known {
  /** By their words: `deploy`, `local up`. */
  readonly commands: Readonly<Record<string, unknown>>;
  /** First words that are no command themselves: `local`. */
  readonly groups: Readonly<Record<string, unknown>>;
}

/**
 * `help deploy` is `deploy --help`, `local help up` is `local up --help`, `version` is `--version`. A topic that is no command
 * stays alone, so that it is told like any other wrong word.
 */
export function asked(words: readonly string[], { commands, groups }: Known): readonly string[] {
  const [first = "", second, ...rest] = words;
  if (first === "version") return ["--version", ...words.slice(1)];
  if (Object.hasOwn(groups, first) && second === "help") return [first, ...rest, "--help"];
  if (first !== "help") return words;
  const topic = words.slice(1);
  const isKnown = second === undefined || Object.hasOwn(commands, second) || Object.hasOwn(groups, second);
  return isKnown ? [...topic, "--help"] : topic;
}
