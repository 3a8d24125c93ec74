/**
 * The port through which a client gets what it signs its requests with, where that changes while the client lives:
 * tokens that expire, certificates that a plugin hands out. Slipway's `clusters/` has the adapters.
 */
export interface Credentials {
  /** For example `authorization`, or `impersonate-user`. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** PEM. */
  readonly clientCertificate?: string;
  readonly clientKey?: string;
}

export interface CredentialSource {
  /** For the next request; remembered for as long as they are good. Rejects with a SlipwayError that says what to do. */
  current(): Promise<Credentials>;
  /**
   * The server answered these with 401, though by their own word they are still good (revoked, keys rotated). True
   * when `current` gives others from now on, so that it is worth asking once more.
   */
  refused(credentials: Credentials): Promise<boolean>;
}
