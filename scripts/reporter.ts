/**
 * A quiet reporter: one line per file with its time, failures in full with their place, skips with their reason, and a
 * last line that `scripts/files.ts` adds up.
 */
import { join, relative } from "node:path";
import { inspect } from "node:util";

const root = join(import.meta.dirname, "..");

interface TestEvent {
  readonly type: string;
  readonly data: {
    readonly name: string;
    readonly nesting: number;
    readonly file?: string;
    readonly line?: number;
    readonly skip?: boolean | string;
    readonly todo?: boolean | string;
    readonly message?: string;
    readonly details?: {
      readonly duration_ms?: number;
      readonly type?: string;
      readonly error?: Error & { cause?: unknown };
    };
  };
}

export default async function* reporter(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const totals = { pass: 0, fail: 0, skipped: 0 };
  const perFile = new Map<string, { tests: number; failed: number; ms: number }>();
  for await (const { type, data } of source) {
    const file = data.file === undefined ? "" : relative(root, data.file);
    if (type === "test:diagnostic" && data.message?.startsWith("report: "))
      yield `    ${data.message.slice(8)}\n`;
    if (type !== "test:pass" && type !== "test:fail") continue;
    const isLeaf = data.details?.type !== "suite";
    const entry = perFile.get(file) ?? { tests: 0, failed: 0, ms: 0 };
    perFile.set(file, entry);
    if (data.nesting === 0) entry.ms += data.details?.duration_ms ?? 0;
    if (type === "test:fail") {
      const error = data.details?.error;
      const cause = error?.cause ?? error;
      // A parent fails because a child did; only the child's own failure is worth reading.
      const isEcho = /subtests? failed/.test(error?.message ?? "");
      if (!isEcho) {
        totals.fail += 1;
        entry.failed += 1;
        yield `✗ ${file}:${data.line ?? 0}  ${data.name}\n${indent(cause instanceof Error ? (cause.stack ?? cause.message) : inspect(cause))}\n`;
      }
    } else if (data.skip !== undefined && data.skip !== false) {
      totals.skipped += 1;
      yield `- skipped ${file}  ${data.name}: ${data.skip === true ? "no reason given" : data.skip}\n`;
    } else if (isLeaf) {
      totals.pass += 1;
      entry.tests += 1;
    }
  }
  for (const [file, entry] of perFile) {
    yield `${entry.failed > 0 ? "✗" : "✓"} ${file}  ${entry.tests} tests, ${Math.round(entry.ms)} ms\n`;
  }
  yield `lane: ${totals.pass} passed, ${totals.fail} failed, ${totals.skipped} skipped\n`;
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, "    ");
}
