/** Recognises secrets by name or by form. Reports names and kinds, never values. */

const SECRET_NAME =
  /(?:^|_)(?:SECRET|TOKEN|PASSWORD|PASSWD|PASSPHRASE|API_?KEY|PRIVATE_?KEY|ACCESS_?KEY|CREDENTIALS?)(?:_|$)/i;
/** A path to a secret, or its name elsewhere, is no secret. */
const POINTS_ELSEWHERE = /_(?:FILE|PATH|DIR|NAME|URL|ID|TTL|EXPIRY)$/i;

const FORMS: readonly (readonly [string, RegExp])[] = [
  ["a private key", /-----BEGIN [A-Z ]*PRIVATE KEY-----/],
  ["an AWS access key", /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/],
  ["a GitHub token", /\bgh[pousr]_[A-Za-z0-9]{36,}\b/],
  ["a Slack token", /\bxox[abposr]-[A-Za-z0-9-]{10,}/],
  ["a Google API key", /\bAIza[0-9A-Za-z_-]{35}\b/],
  ["a JSON web token", /\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\./],
  ["a password in a URL", /\b[a-z][a-z0-9+.-]*:\/\/[^\s/:@]+:[^\s/@]+@/i],
];

/** What kind of secret a variable is; undefined when it looks like none. */
export function secretInVariable(name: string, value: string): string | undefined {
  if (value === "") return undefined;
  if (SECRET_NAME.test(name) && !POINTS_ELSEWHERE.test(name) && !value.startsWith("/")) {
    return `${name} is named like a secret and has a value`;
  }
  const form = secretForm(value);
  return form === undefined ? undefined : `${name} holds ${form}`;
}

function secretForm(text: string): string | undefined {
  return FORMS.find(([, expression]) => expression.test(text))?.[0];
}

/** Looks through a line of build history: `NAME=value` words and known forms. */
export function secretInHistory(line: string): string | undefined {
  for (const [, name, quoted, plain] of line.matchAll(/\b([A-Za-z_][A-Za-z0-9_]*)=(?:"([^"]*)"|(\S*))/g)) {
    const found = secretInVariable(name as string, quoted ?? plain ?? "");
    if (found !== undefined) return found;
  }
  const form = secretForm(line);
  return form === undefined ? undefined : `it holds ${form}`;
}
