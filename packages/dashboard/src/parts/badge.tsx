/** An outcome, a verdict, a state: a word with a mark, so that colour is never the only difference. */
import type { Tone } from "../words/headline.ts";

const tones: Readonly<Record<string, Tone>> = {
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
const marks: Readonly<Record<Tone, string>> = { good: "✓", bad: "✕", warn: "!", quiet: "·" };

export function toneOf(word: string): Tone {
  return tones[word] ?? "quiet";
}

export function Badge({ word, tone = toneOf(word) }: { readonly word: string; readonly tone?: Tone }) {
  const going = word === "in-progress";
  return (
    <span className={`badge ${going ? "going" : tone}`}>
      <span aria-hidden="true">{going ? "→" : marks[tone]}</span>
      {word.replace("-", " ")}
    </span>
  );
}
