/** What may be called what, in the words of k8s.io/apimachinery `util/validation`. Each returns the problem, or undefined. */

const DNS_LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const DNS_1035_LABEL = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const CONFIG_KEY = /^[-._a-zA-Z0-9]+$/;

function tooLong(max: number): string {
  return `must be no more than ${max} characters`;
}

export function dnsLabelProblem(value: string): string | undefined {
  if (value.length > 63) return tooLong(63);
  if (DNS_LABEL.test(value)) return undefined;
  return "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
}

export function dnsSubdomainProblem(value: string): string | undefined {
  if (value.length > 253) return tooLong(253);
  if (DNS_SUBDOMAIN.test(value)) return undefined;
  return "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
}

export function dns1035LabelProblem(value: string): string | undefined {
  if (value.length > 63) return tooLong(63);
  if (DNS_1035_LABEL.test(value)) return undefined;
  return "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
}

/** A port's name (IANA service name): all its problems, since the server lists each. */
export function portNameProblems(value: string): readonly string[] {
  const problems: string[] = [];
  if (value.length > 15) problems.push(tooLong(15));
  if (!/^[-a-z0-9]+$/.test(value)) {
    problems.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
  }
  if (!/[a-z]/.test(value)) problems.push("must contain at least one letter (a-z)");
  if (value.includes("--")) problems.push("must not contain consecutive hyphens");
  if (/^-|-$/.test(value)) problems.push("must not begin or end with a hyphen");
  return problems;
}

export function portNumberProblem(value: unknown): string | undefined {
  const isPort = typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= 65_535;
  return isPort ? undefined : "must be between 1 and 65535, inclusive";
}

/** The key of a ConfigMap or Secret. */
export function configKeyProblem(value: string): string | undefined {
  if (value.length > 253) return tooLong(253);
  if (value === ".") return "must not be '.'";
  if (value === "..") return "must not be '..'";
  if (value.startsWith("..")) return "must not start with '..'";
  if (CONFIG_KEY.test(value)) return undefined;
  return "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
}

/** Since 1.30 anything printable in ASCII but `=`. */
export function envNameProblem(value: string): string | undefined {
  if (/^[ -<>-~]+$/.test(value)) return undefined;
  return "a valid environment variable name must consist only of printable ASCII characters other than '='";
}

export function percentProblem(value: string): string | undefined {
  if (/^[0-9]+%$/.test(value)) return undefined;
  return "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
}

export function ipProblem(value: string): string | undefined {
  return isIpv4(value) || isIpv6(value)
    ? undefined
    : "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
}

export function isIpv4(value: string): boolean {
  const parts = value.split(".");
  return (
    parts.length === 4 && parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part) && Number(part) <= 255)
  );
}

export function isIpv6(value: string): boolean {
  // The parser of URLs knows every form of an IPv6 address; nothing else fits between its brackets.
  return /^[0-9a-fA-F:.]+$/.test(value) && value.includes(":") && URL.canParse(`http://[${value}]/`);
}
