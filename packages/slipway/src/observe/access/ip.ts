/** Addresses of clients: who it was, or, when that must not be kept, roughly from where. */

/** Of an IPv6 address written out. */
export const MAX_ADDRESS = 39;

/**
 * The first of an X-Forwarded-For list; `-` for what cannot be an address (or `unix:`, or a name), because clients may
 * write anything there.
 */
export function clientAddress(text: string): string {
  const comma = text.indexOf(",");
  const first = (comma < 0 ? text : text.slice(0, comma)).trim();
  return first === "" || first.length > 64 || !isPlain(first) ? "-" : first;
}

/** Without white space, control characters and what is not ASCII. */
export function isPlain(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code <= 32 || code >= 127 || code === 44) return false;
  }
  return true;
}

/** IPv4 without its last 8 bits, IPv6 without its last 80: `203.0.113.0`, `2001:db8:1::`. */
export function truncateAddress(address: string): string {
  const dot = address.lastIndexOf(".");
  // `::ffff:203.0.113.9` is an IPv4 address too.
  if (dot >= 0) return `${address.slice(0, dot)}.0`;
  if (!address.includes(":") || address.startsWith("unix:")) return address;
  const [head = "", tail] = address.split("%", 1)[0]?.split("::") ?? [];
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const missing = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length);
  const groups = [...before, ...new Array<string>(missing).fill("0"), ...after].slice(0, 3);
  while (groups.at(-1) === "0") groups.pop();
  return `${groups.join(":")}::`;
}
