import { expect, test } from "vitest";

test("runs under Node 24", () => {
  expect(process.versions.node).toMatch(/^24\./);
});
