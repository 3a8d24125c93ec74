/** Columns that text takes in a terminal: none for combining marks, two for wide East Asian letters and emoji. */

const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;
const ZERO = /^[\p{Mn}\p{Me}\p{Cf}]$/u;
const CONTROL = /\p{Cc}/gu;

export function widthOf(text: string): number {
  let width = 0;
  for (const letter of text) width += widthOfLetter(letter);
  return width;
}

function widthOfLetter(letter: string): number {
  if (ZERO.test(letter)) return 0;
  return WIDE.test(letter) ? 2 : 1;
}

/** At most `columns` wide, with `…` where something is left out; control characters, which would move the cursor, go. */
export function cut(text: string, columns: number): string {
  const clean = text.replaceAll(CONTROL, " ");
  if (widthOf(clean) <= columns) return clean;
  let kept = "";
  let width = 0;
  for (const letter of clean) {
    const more = widthOfLetter(letter);
    if (width + more > columns - 1) break;
    kept += letter;
    width += more;
  }
  return columns < 1 ? "" : `${kept}…`;
}

export function padTo(text: string, columns: number): string {
  return text + " ".repeat(Math.max(0, columns - widthOf(text)));
}

/** Every line of it two columns further in. */
export function indent(text: string): string {
  return text.replaceAll(/^/gm, "  ");
}
