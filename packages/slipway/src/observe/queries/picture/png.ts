/** SVG → PNG, with the font that comes along: what a server has installed makes no difference. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

const FONTS = ["DejaVuSans.ttf", "DejaVuSans-Bold.ttf"];

let ready: Promise<readonly Uint8Array[]> | undefined;

/** Twice as many points as the SVG has, for screens that are that fine. */
export async function pngOf(svg: string): Promise<Uint8Array> {
  const { Resvg } = await import("@resvg/resvg-wasm");
  ready ??= prepare();
  const fontBuffers = await ready;
  const image = new Resvg(svg, {
    fitTo: { mode: "zoom", value: 2 },
    font: { fontBuffers: [...fontBuffers], defaultFontFamily: "DejaVu Sans", loadSystemFonts: false },
  });
  try {
    return image.render().asPng();
  } finally {
    image.free();
  }
}

async function prepare(): Promise<readonly Uint8Array[]> {
  const require = createRequire(import.meta.url);
  const { initWasm } = await import("@resvg/resvg-wasm");
  await initWasm(await readFile(require.resolve("@resvg/resvg-wasm/index_bg.wasm")));
  return Promise.all(FONTS.map((font) => readFile(require.resolve(`dejavu-fonts-ttf/ttf/${font}`))));
}
