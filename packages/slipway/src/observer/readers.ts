/**
 * Plugs the parser into the collector: how the bytes of a log become rows. The collector hands over again what was not
 * taken, so a parser that still holds something (a line without its end) is put away; one that holds nothing goes on,
 * with what it has learned of the log's format.
 */
import type { ObserveConfig } from "../config/observe.ts";
import { ParseContext } from "../observe/access/context.ts";
import { hasNoRoom, LineParser } from "../observe/access/parser.ts";
import type { StreamKey } from "../observe/access/source.ts";
import type { LineReader } from "../observe/collect/collector.ts";
import type { Sources } from "../observe/collect/sources.ts";
import type { Warehouse } from "../observe/warehouse/warehouse.ts";

export function readersOf(
  config: ObserveConfig,
  { dictionaries }: Pick<Warehouse, "dictionaries">,
  sources: Sources,
  now: () => number,
): (stream: StreamKey) => LineReader {
  const { formats, redact, truncateIp } = config;
  const sourceOf = sources.of.bind(sources);
  const context = new ParseContext({ sourceOf, dictionaries, now, formats, redact, truncateIp });
  return (stream) => {
    let parser: LineParser | undefined;
    let readTo = 0;
    return {
      read(bytes, position, isEnd, into) {
        if (hasNoRoom(into)) return 0;
        if (parser === undefined || readTo !== position) parser = new LineParser(stream, context, position);
        const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
        const fed = parser.feed(chunk, into);
        if (isEnd && fed === bytes.length && !hasNoRoom(into)) parser.end(into);
        readTo = parser.offsets()[0]?.position ?? position;
        const taken = readTo - position;
        if (taken < fed) parser = undefined;
        return taken;
      },
    };
  };
}
