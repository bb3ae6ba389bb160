// Weighs what a browser must load before it can show anything.

import { expect, test } from "vitest";
import { eagerWeight } from "./support/weight.ts";

test("U18: page, styles and engine weigh at most 150 KB gzipped, and the settings load later", () => {
  const { files, bytes: weight } = eagerWeight();
  expect(files.filter((file) => /worker-.*\.js$/.test(file))).toHaveLength(1);
  expect(files.filter((file) => file.endsWith(".css"))).toHaveLength(1);
  expect(files.filter((file) => file.includes("settings-"))).toEqual([]);
  expect(weight).toBeLessThan(150_000);
  expect(weight).toBeGreaterThan(50_000);
});
