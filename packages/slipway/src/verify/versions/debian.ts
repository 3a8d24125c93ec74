/**
 * Versions of Debian packages, `[epoch:]upstream[-revision]`.
 * Source: Debian Policy 5.6.12 and deb-version(7): parts of non-digits and digits in turn, `~` before the end, letters
 * before everything else.
 */
export function compareDebian(a: string, b: string): number {
  const [left, right] = [parts(a), parts(b)];
  return (
    left.epoch - right.epoch ||
    compareText(left.upstream, right.upstream) ||
    compareText(left.revision, right.revision)
  );
}

function parts(version: string): { epoch: number; upstream: string; revision: string } {
  const colon = version.indexOf(":");
  const rest = version.slice(colon + 1);
  const dash = rest.lastIndexOf("-");
  return {
    epoch: colon < 0 ? 0 : Number(version.slice(0, colon)),
    upstream: dash < 0 ? rest : rest.slice(0, dash),
    revision: dash < 0 ? "" : rest.slice(dash + 1),
  };
}

/** `~` -1, the end 0, letters by their code, other signs after all letters. */
function order(char: string | undefined): number {
  if (char === undefined || /\d/.test(char)) return 0;
  if (char === "~") return -1;
  return /[A-Za-z]/.test(char) ? char.charCodeAt(0) : char.charCodeAt(0) + 256;
}

function compareText(a: string, b: string): number {
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    while ((i < a.length && !isDigit(a[i])) || (j < b.length && !isDigit(b[j]))) {
      const difference = order(a[i]) - order(b[j]);
      if (difference !== 0) return difference;
      if (i < a.length && !isDigit(a[i])) i += 1;
      if (j < b.length && !isDigit(b[j])) j += 1;
    }
    const [x, y] = [digitsAt(a, i), digitsAt(b, j)];
    const difference = compareNumbers(x, y);
    if (difference !== 0) return difference;
    i += x.length;
    j += y.length;
  }
  return 0;
}

const isDigit = (char: string | undefined): boolean => char !== undefined && char >= "0" && char <= "9";

function digitsAt(text: string, at: number): string {
  let end = at;
  while (isDigit(text[end])) end += 1;
  return text.slice(at, end);
}

/** Of any length: versions carry dates and hashes that no double holds. */
export function compareNumbers(a: string, b: string): number {
  const [x, y] = [a.replace(/^0+/, ""), b.replace(/^0+/, "")];
  return x.length - y.length || (x < y ? -1 : x > y ? 1 : 0);
}
