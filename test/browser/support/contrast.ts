// Measures the contrast of every text on a page by WCAG 2.2 (1.4.3), from the colours the browser computed.

import type { Page } from "playwright-core";

/** Texts below 4.5 : 1 (3 : 1 for large ones), each with its ratio. Disabled controls are exempt, as the standard has it. */
export function lowContrast(page: Page): Promise<readonly string[]> {
  return page.evaluate(() => {
    const channels = (color: string): readonly number[] => (color.match(/[\d.]+/g) ?? []).map(Number);
    const over = (top: readonly number[], under: readonly number[]): number[] => {
      const alpha = top[3] ?? 1;
      return [0, 1, 2].map((i) => (top[i] ?? 0) * alpha + (under[i] ?? 0) * (1 - alpha));
    };
    const luminance = (color: readonly number[]): number => {
      const [r = 0, g = 0, b = 0] = color.map((value) => {
        const part = value / 255;
        return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const background = (element: Element | null): number[] => {
      if (element === null) return [255, 255, 255];
      const color = channels(getComputedStyle(element).backgroundColor);
      return (color[3] ?? 1) === 1 && color.length > 0
        ? color.slice(0, 3)
        : over(color, background(element.parentElement));
    };
    const ratio = (element: Element): number => {
      const ground = background(element);
      const ink = over(channels(getComputedStyle(element).color), ground);
      const [light = 0, dark = 0] = [luminance(ground), luminance(ink)].sort((a, b) => b - a);
      return (light + 0.05) / (dark + 0.05);
    };
    const low: string[] = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
      const element = node.parentElement;
      const text = node.textContent?.trim() ?? "";
      if (
        element === null ||
        text === "" ||
        !element.checkVisibility() ||
        element.closest(":disabled, option, .hidden")
      )
        continue;
      const { fontSize, fontWeight } = getComputedStyle(element);
      const size = Number.parseFloat(fontSize);
      const large = size >= 24 || (size >= 18.66 && Number(fontWeight) >= 700);
      if (ratio(element) < (large ? 3 : 4.5)) low.push(`${ratio(element).toFixed(2)} ${text.slice(0, 40)}`);
    }
    return low;
  });
}
