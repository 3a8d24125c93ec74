/**
 * Draws terminal text as an SVG for the documentation: `node scripts/picture.ts TITLE < text > docs/demo.svg`. Lines that
 * begin with ▸ or ✓ are bold; colours follow the reader's light or dark theme.
 */
import { text } from "node:stream/consumers";

const CHARACTER = 7.4;
const LINE = 17;
const PADDING = 16;
const lines = (await text(process.stdin)).trimEnd().split("\n");
const columns = Math.max(...lines.map((line) => [...line].length));
const width = Math.ceil(columns * CHARACTER + 2 * PADDING);
const height = lines.length * LINE + 2 * PADDING;

const escaped = (line: string): string =>
  line.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const drawn = lines.map((line, index) => {
  const weight = /^[▸✓]/.test(line) ? ' class="strong"' : "";
  return `<text${weight} x="${PADDING}" y="${PADDING + 12 + index * LINE}" xml:space="preserve">${escaped(line)}</text>`;
});
console.log(`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
<title>${escaped(process.argv[2] ?? "Terminal output")}</title>
<style>
rect { fill: #f6f8fa; stroke: #d0d7de }
text { font: 12px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #1f2328 }
.strong { font-weight: 700 }
@media (prefers-color-scheme: dark) { rect { fill: #0d1117; stroke: #30363d } text { fill: #e6edf3 } }
</style>
<rect x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>
${drawn.join("\n")}
</svg>`);
