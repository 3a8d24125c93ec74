import { type FormEvent, useState } from "react";
import { AnswerError } from "../live/client.ts";
import { signIn } from "./session.ts";

export function SignIn() {
  const [token, setToken] = useState("");
  const [problem, setProblem] = useState<AnswerError | undefined>(undefined);
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setProblem(undefined);
    try {
      await signIn(token.trim());
    } catch (error) {
      if (error instanceof AnswerError) setProblem(error);
    }
  };
  return (
    <main className="sign-in">
      <form onSubmit={submit}>
        <img src="./slipway.svg" alt="" width="40" height="40" />
        <h1>Slipway</h1>
        <p>
          The dashboard shows logs and can take releases back, so it wants its token.{" "}
          <code>slipway dashboard</code> prints a link that carries it.
        </p>
        <label>
          Token
          <input
            type="password"
            autoComplete="current-password"
            value={token}
            onChange={({ target }) => setToken(target.value)}
            // biome-ignore lint/a11y/noAutofocus: the page has nothing else
            autoFocus
          />
        </label>
        {problem === undefined ? null : (
          <p className="refused" role="alert">
            {problem.message}. {problem.hint}
          </p>
        )}
        <button type="submit" className="primary" disabled={token.trim() === ""}>
          Sign in
        </button>
      </form>
    </main>
  );
}
