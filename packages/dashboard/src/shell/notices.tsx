/** What happened, in a corner, until it has been read: eight seconds, or as long as the pointer rests on it. */
import { useEffect, useState } from "react";
import { later } from "../live/clock.ts";
import { type Notice, store, useLive } from "../live/store.ts";

const readMs = 8_000;

export function Notices() {
  const notices = useLive((live) => live.notices);
  return (
    <div className="notices" aria-live="polite">
      {notices.map((notice) => (
        <One key={notice.id} notice={notice} />
      ))}
    </div>
  );
}

function One({ notice }: { readonly notice: Notice }) {
  const [isHeld, setIsHeld] = useState(false);
  useEffect(() => (isHeld ? undefined : later(readMs, () => store.dismiss(notice.id))), [isHeld, notice.id]);
  return (
    <div
      className={`notice ${notice.tone}`}
      onPointerEnter={() => setIsHeld(true)}
      onPointerLeave={() => setIsHeld(false)}
    >
      <span>{notice.text}</span>
      <button type="button" aria-label="Close" onClick={() => store.dismiss(notice.id)}>
        ×
      </button>
    </div>
  );
}
