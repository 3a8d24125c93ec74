/** The part behind `#` is not sent to any server, so the token enters no log and no Referer. */
export function signInLink(url: string, token: string): string {
  return `${url}/#token=${encodeURIComponent(token)}`;
}
