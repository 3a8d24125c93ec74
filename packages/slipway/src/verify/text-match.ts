/** What a text is expected to be. Plain data, as all of a check is; `text.ts` compares. */

/** Strings are compared exactly after one trailing newline is taken off, or searched; expressions search. */
export type TextMatch =
  | { readonly is: "exactly"; readonly text: string }
  | { readonly is: "containing"; readonly text: string }
  | { readonly is: "matching"; readonly source: string; readonly flags: string }
  | { readonly is: "empty" };
