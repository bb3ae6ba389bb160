// Owns what is measured in a real browser: how soon the application is usable, how soon an own message shows, how fast a backlog opens.

import type { Figure } from "./marks.ts";

export async function measureBrowser(): Promise<Figure[]> {
  return [];
}
