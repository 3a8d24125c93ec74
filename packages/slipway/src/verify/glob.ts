/**
 * Globs of `t.files`: from the root of the image, `**` crosses folders, `{a,b}` are alternatives, `[a-z]` and `[!a-z]`
 * classes, a backslash takes the next character as it is. Paths are compared as they are listed, so a glob that is
 * written in another way (`./etc`, `etc//x`, `etc/`) is brought to that form: else it would match nothing, and `none()`
 * would pass.
 */
import { globToRegExp } from "../images/dockerfile/patterns.ts";

/** Why no file can ever match; undefined: one can. */
export function globProblem(glob: string): string | undefined {
  const unclosed = unclosedIn(glob);
  if (unclosed !== undefined) return `has "${unclosed}" without its other end`;
  const forms = formsOf(glob);
  if (forms.some((form) => form.split("/").includes(".."))) return "goes through ..";
  if (forms.every((form) => form === "")) return "names no file";
  try {
    globExpression(glob);
    return undefined;
  } catch (error) {
    return `is not a glob: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** For the full path of a file, with its leading slash. */
export const globExpression = (glob: string): RegExp => formExpression(formsOf(glob));

/** The same for forms without braces, as `formsOf` makes them. */
export function formExpression(forms: readonly string[]): RegExp {
  const alternatives = forms
    .filter((form) => form !== "")
    .map((form) => globToRegExp(form, { isDeep: true }).source.slice(1, -1));
  return new RegExp(`^/(?:${alternatives.join("|")})$`, "su");
}

/** Without a leading slash, as forms are; nothing in it means anything. */
export const literalForm = (path: string): string => path.slice(1).replaceAll(/[\\*?[]/g, "\\$&");

/** Without braces, without a slash at an end, without empty steps. */
export const formsOf = (glob: string): readonly string[] =>
  expandBraces(glob).map((one) =>
    one
      .split("/")
      .filter((step) => step !== "" && step !== ".")
      .join("/")
      .replaceAll(/(^|[^\\])\[!/g, "$1[^"),
  );

function expandBraces(glob: string): readonly string[] {
  const match = /^((?:\\.|[^\\])*?)\{((?:\\.|[^{}\\])*)\}(.*)$/s.exec(glob);
  if (match === null) return [glob];
  const [, before, inside, after] = match as unknown as [string, string, string, string];
  return inside.split(",").flatMap((one) => expandBraces(`${before}${one}${after}`));
}

function unclosedIn(glob: string): string | undefined {
  let depth = 0;
  for (let at = 0; at < glob.length; at += 1) {
    const char = glob[at];
    if (char === "\\") at += 1;
    else if (char === "[") {
      // The first character of a class is never its end.
      const end = /^\[[!^]?(?:\\.|[^\\])(?:\\.|[^\]\\])*\]/s.exec(glob.slice(at));
      if (end === null) return "[";
      at += end[0].length - 1;
    } else if (char === "{") depth += 1;
    else if (char === "}") {
      depth -= 1;
      if (depth < 0) return "}";
    }
  }
  return depth > 0 ? "{" : undefined;
}
