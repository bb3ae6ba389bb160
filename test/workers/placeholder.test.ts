import { exports } from "cloudflare:workers";
import { expect, test } from "vitest";

test("the Worker answers inside the runtime", async () => {
  const response = await exports.default.fetch("http://kuvert.test/");
  expect(response.status).toBeLessThan(500);
});
