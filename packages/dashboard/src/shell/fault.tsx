/** A fault in a page is that page's alone: the others can still be reached, and what happened is said. */
import { Component, type ReactNode } from "react";

export class Fault extends Component<{ readonly children: ReactNode }, { readonly error: unknown }> {
  override state: { readonly error: unknown } = { error: undefined };

  static getDerivedStateFromError(error: unknown): { readonly error: unknown } {
    return { error };
  }

  override render(): ReactNode {
    const { error } = this.state;
    if (error === undefined) return this.props.children;
    return (
      <div className="problem" role="alert">
        <div>
          <strong>This page cannot be drawn: {error instanceof Error ? error.message : String(error)}</strong>
          <span>The others work. It is a fault of the dashboard; please report it with this sentence.</span>
        </div>
        <button type="button" onClick={() => this.setState({ error: undefined })}>
          Draw it again
        </button>
      </div>
    );
  }
}
