/**
 * `$request`, which is what the client sent and so may be anything: empty, binary, with spaces, without a protocol, an
 * absolute URL, `host:port`. A method is one only if the text begins with capital letters and a space and ends in
 * `HTTP/` and a digit; otherwise the whole text is the path, under the method `-`.
 */
import { METHODS, PROTOCOLS } from "./batch.ts";

const METHOD_IDS = new Map<string, number>(METHODS.map((method, id) => [method, id]));
const PROTOCOL_IDS = new Map<string, number>([
  ...PROTOCOLS.map((protocol, id) => [protocol, id] as const),
  // As Google and others write them.
  ["HTTP/2", PROTOCOLS.indexOf("HTTP/2.0")],
  ["HTTP/3", PROTOCOLS.indexOf("HTTP/3.0")],
  ["", 0],
]);
const OTHER_METHOD = METHODS.indexOf("OTHER");
const OTHER_PROTOCOL = PROTOCOLS.indexOf("OTHER");
const GET = METHODS.indexOf("GET");
const HTTP_1_1 = PROTOCOLS.indexOf("HTTP/1.1");
const SPACE = 32;
const MAX_METHOD = 17;

export function methodId(method: string): number {
  const known = METHOD_IDS.get(method);
  if (known !== undefined) return known;
  return /^[A-Z]{3,17}$/.test(method) ? OTHER_METHOD : 0;
}

export function protocolId(protocol: string): number {
  return PROTOCOL_IDS.get(protocol) ?? (protocol.startsWith("HTTP/") ? OTHER_PROTOCOL : 0);
}

/** Its answer stands in its fields until the next call: no object for each line. */
export class RequestLine {
  method = 0;
  protocol = 0;
  pathStart = 0;
  pathEnd = 0;

  read(text: string, start: number, end: number): void {
    this.method = 0;
    this.protocol = 0;
    this.pathStart = start;
    this.pathEnd = end;
    const last = protocolSpace(text, start, end);
    if (last < 0) return;
    const first = methodSpace(text, start, last);
    if (first < 0) return;
    const isGet = first - start === 3 && text.charCodeAt(start) === 71 && text.charCodeAt(start + 1) === 69;
    this.method = isGet ? GET : methodId(text.slice(start, first));
    const isCommon = end - last === 9 && text.charCodeAt(end - 1) === 49 && text.charCodeAt(end - 3) === 49;
    this.protocol = isCommon ? HTTP_1_1 : protocolId(text.slice(last + 1, end));
    this.pathStart = Math.min(first + 1, last);
    this.pathEnd = last;
  }
}

/** The space before ` HTTP/1.1`, looked for from the end; -1 without. */
function protocolSpace(text: string, start: number, end: number): number {
  const digit = text.charCodeAt(end - 1);
  if (digit < 48 || digit > 57) return -1;
  const lowest = Math.max(start, end - 12);
  for (let at = end - 7; at > lowest; at -= 1) {
    if (text.charCodeAt(at) !== SPACE) continue;
    const isHttp =
      text.charCodeAt(at + 1) === 72 &&
      text.charCodeAt(at + 2) === 84 &&
      text.charCodeAt(at + 3) === 84 &&
      text.charCodeAt(at + 4) === 80 &&
      text.charCodeAt(at + 5) === 47;
    return isHttp ? at : -1;
  }
  return -1;
}

function methodSpace(text: string, start: number, last: number): number {
  const furthest = Math.min(last, start + MAX_METHOD);
  let at = start;
  for (; at < furthest; at += 1) {
    const code = text.charCodeAt(at);
    if (code < 65 || code > 90) break;
  }
  return at - start >= 3 && text.charCodeAt(at) === SPACE ? at : -1;
}
