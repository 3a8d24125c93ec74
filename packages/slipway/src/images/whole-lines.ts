/** What a command prints comes in pieces of any size; people and logs are shown lines. */

interface Output {
  readonly kind: "output";
  readonly image: string;
  readonly text: string;
}

/** Events as they come, those of output with one whole line each. `end` passes on what has no line end yet. */
export function wholeLines<E extends { readonly kind: string }>(
  emit: (event: E | Output) => void,
): {
  readonly emit: (event: E | Output) => void;
  readonly end: () => void;
} {
  const rests = new Map<string, string>();
  const say = (image: string, text: string): void => emit({ kind: "output", image, text: `${text}\n` });
  const end = (): void => {
    for (const [image, rest] of rests) if (rest !== "") say(image, rest);
    rests.clear();
  };
  return {
    emit(event) {
      if (!isOutput(event)) {
        end();
        return emit(event);
      }
      const lines = ((rests.get(event.image) ?? "") + event.text).split("\n");
      rests.set(event.image, lines.pop() ?? "");
      for (const line of lines) say(event.image, line);
    },
    end,
  };
}

const isOutput = (event: { readonly kind: string }): event is Output => event.kind === "output";
