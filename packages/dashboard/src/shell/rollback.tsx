/** Taking a release back: says what will happen, and wants the token again, because it changes what runs. */
import { useState } from "react";
import type { DeedAnswer, RollbackRequest } from "../live/api.ts";
import { post } from "../live/client.ts";
import { store } from "../live/store.ts";
import { DeedDialog } from "../parts/deed-dialog.tsx";
import { go } from "./use-route.ts";

export function RollbackButton({
  leaves,
  to,
  isUrgent = true,
}: {
  readonly leaves: number;
  readonly to: number;
  /** Where all is well, it is there, but does not shout. */
  readonly isUrgent?: boolean;
}) {
  const [isOpen, setIsOpen] = useState(false);
  return (
    <>
      <button type="button" className={isUrgent ? "danger" : "danger calm"} onClick={() => setIsOpen(true)}>
        Roll back to release {to}
      </button>
      {isOpen ? <Rollback leaves={leaves} to={to} onClose={() => setIsOpen(false)} /> : null}
    </>
  );
}

function Rollback({
  leaves,
  to,
  onClose,
}: {
  readonly leaves: number;
  readonly to: number;
  readonly onClose: () => void;
}) {
  const rollBack = async (confirm: string): Promise<void> => {
    const request: RollbackRequest = { release: leaves, to, confirm };
    const { text } = await post<DeedAnswer>("/api/rollback", request);
    store.notify("good", text);
    go({ page: "release" });
  };
  return (
    <DeedDialog
      title={`Roll back from release ${leaves} to release ${to}`}
      button="Roll back"
      waiting="Starting…"
      tone="danger"
      refused="Not started"
      onDo={rollBack}
      onClose={onClose}
    >
      <p>
        Every cluster gets release {to} again, wave by wave in reverse order. Nothing is built: its images are
        in the registry. Release {leaves} is held, so that it is not deployed again by accident.
      </p>
    </DeedDialog>
  );
}
