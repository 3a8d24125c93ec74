/** What a page shows when it has nothing to show yet, nothing at all, or a problem. Never a wheel that turns for ever. */
import { type ReactNode, useEffect, useState } from "react";
import { later } from "../live/clock.ts";
import type { Answer } from "../live/use-answer.ts";

/** The answer when there is one, and beside it what is wrong. */
export function Answered<T>({
  answer,
  children,
  what,
}: {
  readonly answer: Answer<T>;
  readonly what: string;
  readonly children: (value: T) => ReactNode;
}) {
  return (
    <>
      {answer.error === undefined ? null : <Problem answer={answer} what={what} />}
      {answer.value === undefined ? (
        answer.isWaiting ? (
          <Waiting what={what} />
        ) : null
      ) : (
        children(answer.value)
      )}
    </>
  );
}

function Problem<T>({ answer, what }: { readonly answer: Answer<T>; readonly what: string }) {
  const { error, value } = answer;
  return (
    <div className="problem" role="alert">
      <div>
        <strong>
          {value === undefined ? "Cannot show" : "Cannot renew what is shown of"} {what}: {error?.message}
        </strong>
        <span>{error?.hint ?? "It is asked again by itself."}</span>
      </div>
      <button type="button" onClick={answer.ask}>
        Ask now
      </button>
    </div>
  );
}

/** Says nothing for a moment: most answers come at once, and a flicker is worse than nothing. */
function Waiting({ what }: { readonly what: string }) {
  const [isLong, setIsLong] = useState(false);
  useEffect(() => later(400, () => setIsLong(true)), []);
  return (
    <p className="waiting" role="status">
      {isLong ? `Asking for ${what}…` : ""}
    </p>
  );
}

export function Empty({ title, children }: { readonly title: string; readonly children?: ReactNode }) {
  return (
    <div className="empty">
      <p className="empty-title">{title}</p>
      {children === undefined ? null : <p>{children}</p>}
    </div>
  );
}
