/** Recognises secrets by name or by form. Reports names and kinds, never values. */

/** On names whose words are parted by `_`; `PGPASSWORD` is written without. */
const SECRET_NAME =
  /(?:^|_)(?:SECRET|TOKEN|[A-Z0-9]*PASSWORD|[A-Z0-9]*PASSWD|PASSPHRASE|API_?KEY|PRIVATE_?KEY|ACCESS_?KEY|CREDENTIALS?)(?:_|$)/i;
/** Short names of a password only at the end, because `PASS` begins many words. The shell's own are folders. */
const SHORT_NAME = /(?:^|_)(?:PASS|PWD)$/i;
const OF_THE_SHELL = /^(?:OLD)?PWD$/;
/** `FIRST_PASS=1`, `TWO_PASS=true` say how something is done. */
const SWITCH = /^(?:true|false|yes|no|on|off|\d)$/i;
/** A path to a secret, or its name elsewhere, is no secret. */
const POINTS_ELSEWHERE = /_(?:FILE|PATH|DIR|NAME|URL|ID|TTL|EXPIRY)$/i;

const FORMS: readonly (readonly [string, RegExp])[] = [
  ["a private key", /-----BEGIN [A-Z ]*PRIVATE KEY-----/],
  ["an AWS access key", /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/],
  ["a GitHub token", /\bgh[pousr]_[A-Za-z0-9]{36,}\b/],
  ["a GitHub token", /\bgithub_pat_[A-Za-z0-9_]{36,}\b/],
  ["a GitLab token", /\bglpat-[A-Za-z0-9_-]{20,}/],
  ["an npm token", /\bnpm_[A-Za-z0-9]{36}\b/],
  ["a PyPI token", /\bpypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{40,}/],
  ["a Docker Hub token", /\bdckr_pat_[A-Za-z0-9_-]{20,}/],
  ["a Stripe key", /\b[sr]k_live_[A-Za-z0-9]{16,}/],
  ["a SendGrid key", /\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}/],
  ["a Slack token", /\bxox[abposr]-[A-Za-z0-9-]{10,}/],
  ["a Google API key", /\bAIza[0-9A-Za-z_-]{35}\b/],
  ["a JSON web token", /\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\./],
  ["a password in a URL", /\b[a-z][a-z0-9+.-]*:\/\/[^\s/:@]+:[^\s/@]+@/i],
];

/** What kind of secret a variable is; undefined when it looks like none. */
export function secretInVariable(name: string, value: string): string | undefined {
  if (value === "") return undefined;
  if (isSecretName(name, value) && !value.startsWith("/")) {
    return `${name} is named like a secret and has a value`;
  }
  const form = secretForm(value);
  return form === undefined ? undefined : `${name} holds ${form}`;
}

function isSecretName(name: string, value: string): boolean {
  const words = name.replaceAll(/([a-z0-9])([A-Z])/g, "$1_$2");
  if (POINTS_ELSEWHERE.test(words)) return false;
  return (
    SECRET_NAME.test(words) || (SHORT_NAME.test(words) && !OF_THE_SHELL.test(name) && !SWITCH.test(value))
  );
}

function secretForm(text: string): string | undefined {
  return FORMS.find(([, expression]) => expression.test(text))?.[0];
}

/** Looks through a line of build history: `NAME=value` words, also `_authToken=`, and known forms. */
export function secretInHistory(line: string): string | undefined {
  for (const [, name, quoted, plain] of line.matchAll(/\b([A-Za-z_][A-Za-z0-9_]*)=(?:"([^"]*)"|(\S*))/g)) {
    const value = quoted ?? plain ?? "";
    // `TOKEN=$TOKEN`, `TOKEN=$(cat /run/secrets/token)` are no values.
    if (/^["']?\$[{(A-Za-z_]/.test(value)) continue;
    const found = secretInVariable(name as string, value);
    if (found !== undefined) return found;
  }
  const form = secretForm(line);
  return form === undefined ? undefined : `it holds ${form}`;
}

/** Files of variables and of credentials, where a name before `=` or `:` says what the value is. */
const ASSIGNMENTS =
  /(?:^|\/)(?:\.env(?:\.[^/]*)?|\.npmrc|\.netrc|\.pypirc|\.pgpass|credentials)$|\.(?:env|properties|ini)$/;

/** What kind of secret a file holds, by the forms above and, in files of variables, by name. */
export function secretInFile(path: string, content: string): string | undefined {
  const form = secretForm(content);
  if (form !== undefined) return `it holds ${form}`;
  if (!ASSIGNMENTS.test(path)) return undefined;
  if (/(?:^|\n)\s*(?:\/\/\S+:)?_(?:authToken|auth|password)\s*=\s*[^\s$]/.test(content))
    return "it holds an npm token";
  if (/(?:^|\/)\.netrc$/.test(path) && /\bpassword\s+\S+/.test(content)) return "it holds a password";
  for (const line of content.split("\n")) {
    const match = /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*[=:]\s*["']?([^"'\s]+)/.exec(line);
    if (match === null || match[2]?.startsWith("$")) continue;
    const found = secretInVariable((match[1] as string).replaceAll(/[.-]/g, "_"), match[2] as string);
    if (found !== undefined) return found;
  }
  return undefined;
}

const SHORTEST = 4;

/**
 * Values that must never be printed: of the variables that look like secrets. Shorter ones than four characters are left:
 * they would blot out half of every text and hide nothing.
 */
export function secretValues(variables: Iterable<readonly [name: string, value: string]>): readonly string[] {
  const values = new Set<string>();
  for (const [name, value] of variables) {
    if (value.length >= SHORTEST && secretInVariable(name, value) !== undefined) values.add(value);
  }
  return [...values].sort((a, b) => b.length - a.length);
}

/** Every known secret value, and everything in the form of one, replaced. */
export function redact(text: string, values: readonly string[]): string {
  let shown = text;
  for (const value of values) shown = shown.replaceAll(value, "•••");
  for (const [, expression] of FORMS) {
    shown = shown.replaceAll(new RegExp(expression.source, `${expression.flags}g`), "•••");
  }
  return shown;
}
