/**
 * Fields that a JSON text gives twice. A parser keeps the last and forgets the first, so strict decoding has to look
 * at the text itself.
 */

interface ObjectFrame {
  readonly kind: "object";
  readonly path: string;
  readonly seen: Set<string>;
  key: string | undefined;
}

interface ListFrame {
  readonly kind: "list";
  readonly path: string;
  index: number;
}

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],]|[^\s{}[\],:"]+/g;

/**
 * `duplicate field "spec.replicas"` for each field that stands twice in the same object, once per field. `text` must
 * be valid JSON.
 */
export function duplicateFields(text: string): readonly string[] {
  const found = new Set<string>();
  const frames: (ObjectFrame | ListFrame)[] = [];
  const pathOfValue = (): string => {
    const frame = frames.at(-1);
    if (frame === undefined) return "";
    if (frame.kind === "list") return `${frame.path}[${frame.index}]`;
    return frame.path === "" ? (frame.key ?? "") : `${frame.path}.${frame.key}`;
  };
  for (const [token] of text.matchAll(TOKEN)) {
    const frame = frames.at(-1);
    if (token === "{") {
      frames.push({ kind: "object", path: pathOfValue(), seen: new Set(), key: undefined });
    } else if (token === "[") {
      frames.push({ kind: "list", path: pathOfValue(), index: 0 });
    } else if (token === "}" || token === "]") {
      frames.pop();
    } else if (token === ",") {
      // What follows is the next element, or the next key.
      if (frame?.kind === "list") frame.index += 1;
      else if (frame !== undefined) frame.key = undefined;
    } else if (frame?.kind === "object" && frame.key === undefined) {
      frame.key = JSON.parse(token) as string;
      if (frame.seen.has(frame.key)) found.add(`duplicate field "${pathOfValue()}"`);
      frame.seen.add(frame.key);
    }
  }
  return [...found];
}
