/** An outcome, a verdict, a state: a word with a mark, so that colour is never the only difference. */
import type { Tone } from "../words/headline.ts";

type BadgeTone = Tone | "going";

const tones: Readonly<Record<string, BadgeTone>> = {
  "in-progress": "going",
  healthy: "good",
  passed: "good",
  ok: "good",
  ready: "good",
  done: "good",
  resolved: "good",
  failed: "bad",
  refused: "bad",
  firing: "bad",
  page: "bad",
  failing: "bad",
  "rolled-back": "warn",
  unknown: "warn",
  interrupted: "warn",
  ticket: "warn",
  muted: "quiet",
};
const marks: Readonly<Record<BadgeTone, string>> = { going: "→", good: "✓", bad: "✕", warn: "!", quiet: "·" };

export function toneOf(word: string): BadgeTone {
  return tones[word] ?? "quiet";
}

export function Badge({ word, tone = toneOf(word) }: { readonly word: string; readonly tone?: BadgeTone }) {
  return (
    <span className={`badge ${tone}`}>
      <span aria-hidden="true">{marks[tone]}</span>
      {word.replace("-", " ")}
    </span>
  );
}
