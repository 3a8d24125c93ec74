/** Plugs the parser into the collector: how the bytes of a log become rows. */
import { systemClock } from "@slipway/base";
import type { ObserveConfig } from "../config/observe.ts";
import { ParseContext } from "../observe/access/context.ts";
import { hasNoRoom, LineParser } from "../observe/access/parser.ts";
import type { StreamKey } from "../observe/access/source.ts";
import type { LineReader } from "../observe/collect/collector.ts";
import type { Sources } from "../observe/collect/sources.ts";
import type { Warehouse } from "../observe/warehouse/warehouse.ts";

export function readersOf(
  config: ObserveConfig,
  warehouse: Warehouse,
  sources: Sources,
): (stream: StreamKey, source: number) => LineReader {
  const context = new ParseContext({
    sourceOf: (labels) => sources.of(labels),
    dictionaries: warehouse.dictionaries,
    now: () => systemClock.now(),
    formats: config.formats,
    redact: config.redact,
    truncateIp: config.truncateIp,
  });
  return (stream) => {
    let parser: LineParser | undefined;
    let expected = -1;
    return {
      read(bytes, position, isEnd, into) {
        // What was not whole comes again from its beginning on; only a parser that holds nothing goes on.
        if (parser === undefined || expected !== position) parser = new LineParser(stream, context, position);
        const taken = parser.feed(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), into);
        const ends = isEnd && taken === bytes.length && !hasNoRoom(into);
        if (ends) parser.end(into);
        const stored = ends ? position + taken : (parser.offsets().at(-1)?.position ?? position);
        expected = stored === position + taken && !ends ? stored : -1;
        return stored - position;
      },
    };
  };
}
