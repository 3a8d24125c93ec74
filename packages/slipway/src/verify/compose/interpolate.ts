/**
 * `$VAR` and its longer forms, as the Compose Specification has them (12-interpolation): `${VAR}`, `${VAR:-x}`,
 * `${VAR-x}`, `${VAR:?e}`, `${VAR?e}`, `${VAR:+x}`, `${VAR+x}`, nested, and `$$` for a dollar.
 */
export interface Interpolation {
  readonly text: string;
  /** Variables that were used plainly and are not set: they became the empty text. */
  readonly unset: readonly string[];
}

export class InterpolationError extends Error {
  override readonly name = "InterpolationError";
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]*/;

/** Throws InterpolationError for a form that is not one, and for a variable that is required and missing. */
export function interpolate(text: string, lookup: (name: string) => string | undefined): Interpolation {
  const unset: string[] = [];
  const expand = (source: string): string => {
    let out = "";
    for (let at = 0; at < source.length; ) {
      const dollar = source.indexOf("$", at);
      if (dollar < 0) return out + source.slice(at);
      out += source.slice(at, dollar);
      const after = source[dollar + 1];
      if (after === "$") {
        out += "$";
        at = dollar + 2;
      } else if (after === "{") {
        const end = closing(source, dollar + 2);
        out += braced(source.slice(dollar + 2, end));
        at = end + 1;
      } else {
        const name = NAME.exec(source.slice(dollar + 1))?.[0];
        if (name === undefined)
          throw new InterpolationError(
            `"${source.slice(dollar, dollar + 2)}" is no variable; write $$ for a dollar`,
          );
        out += plain(name);
        at = dollar + 1 + name.length;
      }
    }
    return out;
  };
  const plain = (name: string): string => {
    const value = lookup(name);
    if (value === undefined) unset.push(name);
    return value ?? "";
  };
  const braced = (inner: string): string => {
    const name = NAME.exec(inner)?.[0];
    const rest = inner.slice(name?.length ?? 0);
    const [, operator, word = ""] = /^(:?[-?+])([\s\S]*)$/.exec(rest) ?? [];
    if (name === undefined || (rest !== "" && operator === undefined))
      throw new InterpolationError(`"\${${inner}}" is not a form that Compose knows`);
    if (operator === undefined) return plain(name);
    const value = lookup(name);
    const isThere = value !== undefined && (!operator.startsWith(":") || value !== "");
    switch (operator.at(-1)) {
      case "-":
        return isThere ? value : expand(word);
      case "+":
        return isThere ? expand(word) : "";
      default:
        if (isThere) return value;
        throw new InterpolationError(
          `the variable ${name} is required${word === "" ? "" : `: ${expand(word)}`}`,
        );
    }
  };
  return { text: expand(text), unset };
}

/** The brace that ends what began before `at`. */
function closing(text: string, at: number): number {
  let depth = 1;
  for (let index = at; index < text.length; index += 1) {
    if (text.startsWith("${", index)) depth += 1;
    else if (text[index] === "}") depth -= 1;
    if (depth === 0) return index;
  }
  throw new InterpolationError(`"\${${text.slice(at)}" is not closed`);
}
