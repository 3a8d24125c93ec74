/**
 * Text that is hard to read, found in the page itself: each piece of text against the ground that it really stands on (WCAG 2.2,
 * 1.4.3: 4.5, and 3 for large text).
 */
import type { Page } from "playwright-core";

export function paleTexts(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    type Colour = readonly [number, number, number, number];
    const parse = (text: string): Colour => {
      const numbers = (text.match(/-?[\d.]+(?:e-?\d+)?/g) ?? []).map(Number);
      const [r = 0, g = 0, b = 0, alpha = 1] = text.startsWith("color(")
        ? [...numbers.slice(0, 3).map((n) => n * 255), numbers[3] ?? 1]
        : numbers;
      return [r, g, b, alpha];
    };
    const over = (top: Colour, under: Colour): Colour => {
      const mix = (index: 0 | 1 | 2): number => top[index] * top[3] + under[index] * (1 - top[3]);
      return [mix(0), mix(1), mix(2), 1];
    };
    const ground = (element: Element | null): Colour => {
      if (element === null) return [255, 255, 255, 1];
      const own = parse(getComputedStyle(element).backgroundColor);
      return own[3] === 1 ? own : over(own, ground(element.parentElement));
    };
    const light = (colour: Colour): number => {
      const part = (value: number): number => {
        const share = value / 255;
        return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
      };
      return 0.2126 * part(colour[0]) + 0.7152 * part(colour[1]) + 0.0722 * part(colour[2]);
    };
    const found = new Set<string>();
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
      const element = node.parentElement as HTMLElement;
      const text = node.textContent?.trim() ?? "";
      const style = getComputedStyle(element);
      if (text === "" || !element.checkVisibility({ opacityProperty: true, visibilityProperty: true }))
        continue;
      if (
        element.closest(":disabled, option, title, noscript") !== null ||
        style.color === "rgba(0, 0, 0, 0)"
      )
        continue;
      const under = ground(element);
      const [a, b] = [light(over(parse(style.color), under)), light(under)];
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      const size = Number.parseFloat(style.fontSize);
      const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
      if (ratio < (isLarge ? 3 : 4.5)) {
        found.add(`${ratio.toFixed(2)} "${text.slice(0, 30)}" in ${element.tagName}.${element.className}`);
      }
    }
    return [...found];
  });
}
