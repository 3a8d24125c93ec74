/**
 * File patterns: Go's filepath.Match for COPY sources, and .dockerignore, which adds `**`, exceptions (`!`) and
 * matching by parent folder.
 *
 * Source: Go documentation of path/filepath.Match; Docker documentation ".dockerignore file"; behaviour of moby's
 * patternmatcher: a path is out when the last pattern that matches it, or a folder above it, has no `!`.
 */

/** A regular expression for a whole slash-separated path. With `isDeep`, `**` crosses folders. */
export function globToRegExp(glob: string, options: { readonly isDeep: boolean }): RegExp {
  let source = "";
  for (let at = 0; at < glob.length; at += 1) {
    const char = glob[at] as string;
    if (char === "*" && options.isDeep && glob[at + 1] === "*") {
      at += 1;
      if (glob[at + 1] === "/") {
        at += 1;
        source += "(?:.*/)?";
      } else source += ".*";
    } else if (char === "*") source += "[^/]*";
    else if (char === "?") source += "[^/]";
    else if (char === "[") {
      const end = classEnd(glob, at);
      if (end === undefined) source += "\\[";
      else {
        const body = glob.slice(at + 1, end);
        source += `[${body.replace(/[[\]]/g, "\\$&").replace(/^\\\^/, "^")}]`;
        at = end;
      }
    } else if (char === "\\" && at + 1 < glob.length) {
      at += 1;
      source += quote(glob[at] as string);
    } else source += quote(char);
  }
  return new RegExp(`^${source}$`, "su");
}

export const isGlob = (text: string): boolean => /[*?[]/.test(text);

export interface IgnoreRules {
  /** `path` is relative to the context, with slashes. */
  isIgnored(path: string): boolean;
  /** Whether anything inside an ignored folder could come back by an exception. */
  readonly hasExceptions: boolean;
}

export function parseIgnore(text: string): IgnoreRules {
  const rules = text
    .replace(/^\uFEFF/, "")
    .split(/\r?\n/)
    .filter((line) => !line.startsWith("#"))
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .flatMap((line) => {
      const isException = line.startsWith("!");
      const pattern = cleanPattern(isException ? line.slice(1).trim() : line);
      return pattern === "" ? [] : [{ isException, expression: globToRegExp(pattern, { isDeep: true }) }];
    });
  const sources = rules.map(({ expression }) => expression.source);
  const any = rules.length === 0 ? undefined : new RegExp(sources.join("|"), "su");
  // By folder: which rules match it or a folder above it. Thousands of files share a few folders.
  const folders = new Map<string, Matches>();
  const matchesAt = (path: string): Matches => {
    const slash = path.lastIndexOf("/");
    const above = slash < 0 ? NONE : ofFolder(path.slice(0, slash));
    // Nearly always no rule matches: that is seen at one look.
    if (above === NONE && any?.test(path) !== true) return NONE;
    return rules.map(({ expression }, index) => above[index] === true || expression.test(path));
  };
  const ofFolder = (path: string): Matches => {
    const known = folders.get(path);
    if (known !== undefined) return known;
    const matches = matchesAt(path);
    folders.set(path, matches);
    return matches;
  };
  return {
    hasExceptions: rules.some((rule) => rule.isException),
    isIgnored: (path) => {
      const last = matchesAt(path).lastIndexOf(true);
      return last >= 0 && rules[last]?.isException === false;
    },
  };
}

/** By rule. */
type Matches = readonly boolean[];
const NONE: Matches = [];

/** `/a/./b/` → `a/b`: patterns are relative to the context however they are written. */
function cleanPattern(pattern: string): string {
  const parts: string[] = [];
  for (const part of pattern.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === ".." && parts.length > 0 && parts.at(-1) !== "**") parts.pop();
    else if (part !== "..") parts.push(part);
  }
  return parts.join("/");
}

function classEnd(glob: string, start: number): number | undefined {
  for (let at = start + 1; at < glob.length; at += 1) {
    if (glob[at] === "\\") at += 1;
    else if (glob[at] === "]" && at > start + 1) return at;
  }
  return undefined;
}

const quote = (char: string): string => char.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
