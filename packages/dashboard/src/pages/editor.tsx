/**
 * A field for SQL: a plain text area, with the coloured text lying under it and a list of what may be meant. Tab or Enter
 * takes the first, arrows choose another, Ctrl-Enter runs.
 */
import { type KeyboardEvent, useRef, useState } from "react";
import { type Completion, completions, tokens, wordBefore } from "./sql.ts";

/** Of the style sheet, px: 13 × 1.6. */
const lineHeight = 20.8;

export function Editor({
  value,
  tables,
  onChange,
  onRun,
}: {
  readonly value: string;
  readonly tables: readonly { readonly name: string; readonly columns: readonly string[] }[];
  readonly onChange: (sql: string) => void;
  readonly onRun: () => void;
}) {
  const field = useRef<HTMLTextAreaElement>(null);
  const under = useRef<HTMLPreElement>(null);
  const [offered, setOffered] = useState<readonly Completion[]>([]);
  const [chosen, setChosen] = useState(0);
  const [place, setPlace] = useState({ left: "0", top: "0" });

  const offer = (sql: string, cursor: number): void => {
    const { word, qualifier } = wordBefore(sql, cursor);
    const isAfterFrom = /\b(?:from|join)\s+$/i.test(sql.slice(0, cursor));
    const isWanted = word !== "" || qualifier !== undefined || isAfterFrom;
    setOffered(isWanted ? completions(sql, cursor, tables) : []);
    setChosen(0);
    const lines = sql.slice(0, cursor - word.length).split("\n");
    const { scrollTop = 0, scrollLeft = 0 } = field.current ?? {};
    setPlace({
      left: `calc(${14 - scrollLeft}px + ${lines.at(-1)?.length ?? 0}ch)`,
      top: `${12 + lines.length * lineHeight - scrollTop}px`,
    });
  };
  const take = (completion: Completion): void => {
    const area = field.current as HTMLTextAreaElement;
    const { from } = wordBefore(value, area.selectionStart);
    area.setRangeText(completion.text, from, area.selectionStart, "end");
    onChange(area.value);
    setOffered([]);
  };
  const onKey = (event: KeyboardEvent): void => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      setOffered([]);
      return onRun();
    }
    if (offered.length === 0) return;
    if (event.key === "Escape") {
      // The list goes, not the focus.
      event.stopPropagation();
      event.nativeEvent.stopImmediatePropagation();
      return setOffered([]);
    }
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const by = event.key === "ArrowDown" ? 1 : -1;
      return setChosen((chosen + by + offered.length) % offered.length);
    }
    if (event.key === "Tab" || event.key === "Enter") {
      event.preventDefault();
      take(offered[chosen] as Completion);
    }
  };
  return (
    <div className="editor">
      <pre ref={under} aria-hidden="true">
        {tokens(value).map(({ kind, text }, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: tokens have no name but their place
          <span key={index} className={`sql-${kind}`}>
            {text}
          </span>
        ))}
        {"\n"}
      </pre>
      <textarea
        ref={field}
        data-search
        aria-label="SQL: one SELECT"
        aria-autocomplete="list"
        aria-controls="sql-offered"
        spellCheck={false}
        autoCapitalize="off"
        autoComplete="off"
        rows={Math.min(18, Math.max(6, value.split("\n").length + 1))}
        value={value}
        onChange={({ target }) => {
          onChange(target.value);
          offer(target.value, target.selectionStart);
        }}
        onKeyDown={onKey}
        onBlur={() => setOffered([])}
        onScroll={({ currentTarget }) => {
          if (under.current !== null) {
            under.current.scrollTop = currentTarget.scrollTop;
            under.current.scrollLeft = currentTarget.scrollLeft;
          }
        }}
      />
      <div
        id="sql-offered"
        className="offered"
        style={place}
        role="listbox"
        aria-label="May be meant"
        hidden={offered.length === 0}
      >
        {offered.map((completion, index) => (
          <div
            key={`${completion.kind}/${completion.text}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === chosen}
            onPointerDown={(event) => {
              event.preventDefault();
              take(completion);
            }}
          >
            {completion.text} <small>{completion.kind}</small>
          </div>
        ))}
      </div>
    </div>
  );
}
