/**
 * Secrets in what an application says, outside of a query string: `password=…`, `"apiKey": "…"`, headers that let somebody
 * in, what stands before the host in a URL, tokens that look like nothing else. By their names and forms alone, so a
 * secret that is called otherwise stays; what is stored is of those who may read the logs all the same.
 *
 * Names that mean something else in a sentence (`exit code: 1`, `primary key: id`) count in query strings only, and
 * behind a colon that is no JSON's a value must look like a secret: `unexpected token: in`.
 */
import { REDACTED, Redactor } from "./redact.ts";

const NAMES = [
  ...["token", "password", "passwd", "pwd", "passphrase", "secret", "credential", "credentials"],
  ...["apikey", "accesskey", "secretkey", "privatekey", "authkey"],
];
/** Most lines have nothing of the kind, and cost this one look. */
const SUSPICIOUS =
  /token|passw|passphrase|pwd|secret|(?:api|access|private|auth).?key|credential|authorization|cookie|bearer|eyJ|:\/\/[^\s/]{0,500}@/i;

// Each has bounds, or begins only where a word does: a line may be 256 kB long, and whoever wrote it means no good.
const NAMED =
  /(?<![\w.-])([A-Za-z_][\w.-]{0,80})(\\?["']?)(\s{0,3}[:=]\s{0,3})(\\?"[^"\\]{0,5000}|'[^']{0,5000}|[^\s"'&,;)\]}\\]+)/g;
const AUTHORIZATION =
  /(?<!\w)(authorization\\?["']?\s{0,3}[:=]\s{0,3}\\?["']?)((?:basic|bearer|digest|negotiate|token)\s{1,3})?[^\s"'\\,]+/gi;
const COOKIE = /(?<!\w)((?:set-)?cookie\\?["']?\s{0,3}[:=]\s{0,3}\\?["']?)[^"'\\\r\n]+/gi;
const BEARER = /(?<!\w)(bearer\s{1,3})[\w.~+/=-]{16,}/gi;
const USER_OF_URL = /(:\/\/[^\s:@/"']{0,200}:)[^\s@/"']{1,500}@/g;
const JSON_WEB_TOKEN = /(?<![\w.-])eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g;
const NOTHING = /^(?:null|true|false|undefined|none|nil)$/i;

/** The same string when nothing is secret. `further`: names in lower case beside those that are always secret. */
export function redactText(text: string, further: readonly string[]): string {
  if (!SUSPICIOUS.test(text) && !further.some((name) => text.toLowerCase().includes(name))) return text;
  return text
    .replace(AUTHORIZATION, `$1$2${REDACTED}`)
    .replace(COOKIE, `$1${REDACTED}`)
    .replace(BEARER, `$1${REDACTED}`)
    .replace(USER_OF_URL, `$1${REDACTED}@`)
    .replace(JSON_WEB_TOKEN, REDACTED)
    .replace(NAMED, (all, name: string, quote: string, separator: string, value: string) => {
      const [opening = ""] = /^\\?["']/.exec(value) ?? [];
      const bare = value.slice(opening.length);
      if (bare === "" || NOTHING.test(bare) || !isSecretName(name, further)) return all;
      const isProse = separator.includes(":") && quote === "" && opening === "";
      return isProse && !looksSecret(bare) ? all : `${name}${quote}${separator}${opening}${REDACTED}`;
    });
}

const redactor = new Redactor();

/** Of one line that leaves the cluster which it was written in, in a record or a message. */
export function withoutSecrets(line: string): string {
  return redactText(redactor.apply(line), redactor.further);
}

function isSecretName(name: string, further: readonly string[]): boolean {
  const lower = name.toLowerCase();
  const letters = lower.replaceAll(/[^a-z]/g, "");
  return NAMES.some((one) => letters.endsWith(one)) || further.includes(lower);
}

function looksSecret(value: string): boolean {
  return value.length >= 6 && /\d/.test(value);
}
