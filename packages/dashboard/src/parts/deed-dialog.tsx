/**
 * A dialog about a deed, something that others notice: says what will happen, wants the token again, and says what was
 * refused. While the answer is awaited it cannot be asked for twice.
 */
import { type FormEvent, type ReactNode, useState } from "react";
import { AnswerError } from "../live/client.ts";
import { Dialog } from "./dialog.tsx";
import { TokenField } from "./token-field.tsx";

export function DeedDialog({
  title,
  button,
  waiting = button,
  tone = "primary",
  refused,
  onDo,
  onClose,
  children,
}: {
  readonly title: string;
  /** The words of the button that does it. */
  readonly button: string;
  /** The same until there is an answer. */
  readonly waiting?: string;
  readonly tone?: "primary" | "danger";
  /** How a refusal begins: `Not saved`. */
  readonly refused: string;
  /** With the token. Closes the dialog when it resolves; an AnswerError is shown in it. */
  readonly onDo: (confirm: string) => Promise<void>;
  readonly onClose: () => void;
  readonly children: ReactNode;
}) {
  const [token, setToken] = useState("");
  const [isAsked, setIsAsked] = useState(false);
  const [problem, setProblem] = useState<AnswerError | undefined>(undefined);
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setIsAsked(true);
    setProblem(undefined);
    try {
      await onDo(token.trim());
      onClose();
    } catch (error) {
      if (error instanceof AnswerError) setProblem(error);
      setIsAsked(false);
    }
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={submit}>
        {children}
        <TokenField value={token} onChange={setToken} />
        {problem === undefined ? null : (
          <p className="refused" role="alert">
            {refused}: {problem.message}. {problem.hint}
          </p>
        )}
        <div className="buttons">
          <button type="button" onClick={onClose}>
            Leave it
          </button>
          <button type="submit" className={tone} disabled={token.trim() === "" || isAsked}>
            {isAsked ? waiting : button}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
