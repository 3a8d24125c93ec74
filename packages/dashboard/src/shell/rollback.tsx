/** Taking a release back: says what will happen, and wants the token again, because it changes what runs. */
import { type FormEvent, useState } from "react";
import type { DeedAnswer, RollbackRequest } from "../live/api.ts";
import { AnswerError, post } from "../live/client.ts";
import { store } from "../live/store.ts";
import { Dialog } from "../parts/dialog.tsx";
import { TokenField } from "../parts/token-field.tsx";
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
  const [token, setToken] = useState("");
  const [isAsked, setIsAsked] = useState(false);
  const [problem, setProblem] = useState<AnswerError | undefined>(undefined);
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setIsAsked(true);
    setProblem(undefined);
    try {
      const request: RollbackRequest = { release: leaves, to, confirm: token.trim() };
      const { text } = await post<DeedAnswer>("/api/rollback", request);
      store.notify("good", text);
      onClose();
      go({ page: "release" });
    } catch (error) {
      if (error instanceof AnswerError) setProblem(error);
      setIsAsked(false);
    }
  };
  return (
    <Dialog title={`Roll back from release ${leaves} to release ${to}`} onClose={onClose}>
      <form onSubmit={submit}>
        <p>
          Every cluster gets release {to} again, wave by wave in reverse order. Nothing is built: its images
          are in the registry. Release {leaves} is held, so that it is not deployed again by accident.
        </p>
        <TokenField value={token} onChange={setToken} />
        {problem === undefined ? null : (
          <p className="refused" role="alert">
            Not started: {problem.message}. {problem.hint}
          </p>
        )}
        <div className="buttons">
          <button type="button" onClick={onClose}>
            Leave it
          </button>
          <button type="submit" className="danger" disabled={token.trim() === "" || isAsked}>
            {isAsked ? "Starting…" : "Roll back"}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
