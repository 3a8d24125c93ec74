/** Plugs the parser into the collector: how the bytes of a log become rows. */
import type { ObserveConfig } from "../config/observe.ts";
import type { StreamKey } from "../observe/access/source.ts";
import type { LineReader } from "../observe/collect/collector.ts";
import type { Sources } from "../observe/collect/sources.ts";
import type { Warehouse } from "../observe/warehouse/warehouse.ts";

/** Until requests are told apart, each line is what an application says. */
export function readersOf(
  _config: ObserveConfig,
  _warehouse: Warehouse,
  _sources: Sources,
): (stream: StreamKey, source: number) => LineReader {
  return ({ framing }, source) => ({
    read(bytes, _position, isEnd, into) {
      const text = Buffer.from(bytes).toString("utf8");
      let at = 0;
      for (;;) {
        const newline = text.indexOf("\n", at);
        if (newline < 0 && !(isEnd && at < text.length)) break;
        const line = text.slice(at, newline < 0 ? text.length : newline);
        at = newline < 0 ? text.length : newline + 1;
        const cri = framing === "cri" ? /^(\S+) (stdout|stderr) [FP] (.*)$/s.exec(line) : null;
        into.logs.push({
          ts: cri === null ? 0 : Date.parse(cri[1] as string),
          source,
          stream: cri?.[2] === "stderr" ? "stderr" : "stdout",
          severity: "",
          text: cri?.[3] ?? line,
        });
      }
      return at >= text.length ? bytes.length : Buffer.byteLength(text.slice(0, at));
    },
  });
}
