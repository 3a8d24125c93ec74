/** A number with its name; the number is what is read. */
import type { ReactNode } from "react";
import type { Tone } from "../words/headline.ts";

export function Figure({
  name,
  children,
  tone,
}: {
  readonly name: string;
  readonly children: ReactNode;
  readonly tone?: Tone | undefined;
}) {
  return (
    <div className={`figure ${tone ?? ""}`}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
