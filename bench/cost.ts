// Owns what growth costs a device in a real browser: adding devices to groups of many, proofs of a large key log, what a message makes it write.

import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { build } from "vite";
import { launch } from "../test/browser/support/chromium.ts";
import type { CostPage } from "./cost-page.ts";
import { median } from "./machine.ts";
import { type Figure, PRODUCT } from "./marks.ts";

declare const page: CostPage;

const SIZES = [10, 100, 500] as const;
const LEAVES = 100_000;
const PAGES = 12;

const figure = (work: string, measure: string, unit: string, value: number): Figure => ({
  work: `cost: ${work}`,
  target: PRODUCT,
  measure,
  unit,
  value,
});

/** The code of a module of this folder with all it imports, file by file; the first is the module itself. */
async function bundle(module: string): Promise<readonly { readonly fileName: string; readonly code: string }[]> {
  const entry = join(import.meta.dirname, module);
  const lib = { entry, formats: ["es" as const], fileName: "page" };
  const built = await build({ configFile: false, logLevel: "error", build: { write: false, target: "es2024", lib } });
  const [bundled] = Array.isArray(built) ? built : [built];
  if (bundled === undefined || !("output" in bundled)) throw new Error("nothing was built");
  return bundled.output.flatMap((file) => (file.type === "chunk" ? [file] : []));
}

/** Opens a page that is {@link CostPage} and nothing else; no server is behind its address, which makes it a secure context. */
async function openPage(browser: Browser): Promise<Page> {
  const files = await bundle("cost-page.ts");
  const tab = await browser.newPage();
  const document = `<!doctype html><script type="module" src="/${files[0]?.fileName}"></script>`;
  await tab.route("http://localhost/**", (route) => {
    const file = files.find(({ fileName }) => new URL(route.request().url()).pathname === `/${fileName}`);
    return route.fulfill({
      contentType: file === undefined ? "text/html" : "text/javascript",
      body: file?.code ?? document,
    });
  });
  await tab.goto("http://localhost/");
  await tab.waitForFunction(() => "page" in globalThis);
  return tab;
}

/** Groups and proofs, on a page of their own. */
export async function measureCost(): Promise<Figure[]> {
  const browser = await launch();
  try {
    const tab = await openPage(browser);
    const figures: Figure[] = [];
    for (const size of SIZES) {
      const added = await tab.evaluate((count) => page.add(count), size);
      const [adding, message] = [`adding device ${size}`, `message among ${size}`];
      figures.push(
        figure(adding, "sender", "ms", median(added.sender)),
        figure(adding, "receiver", "ms", median(added.receiver)),
        figure(adding, "newcomer", "ms", median(added.newcomer)),
        figure(adding, "commit", "B", added.commitBytes),
        figure(adding, "welcome", "B", added.welcomeBytes),
        figure(adding, "group info", "B", added.groupInfoBytes),
        figure(message, "receiver writes", "B", added.openedBytes),
        figure(message, "receiver writes rows", "", added.openedRows),
        figure(message, "sender writes", "B", added.sealedBytes),
      );
    }
    const opens = await tab.evaluate((pages) => page.openBacklog(pages), PAGES);
    const { inclusion, consistency } = await tab.evaluate((leaves) => page.prove(leaves), LEAVES);
    const proof = `proof in ${LEAVES.toLocaleString("en")} leaves`;
    return [
      ...figures,
      figure("backlog", "opens", "/s", median(opens)),
      figure(proof, "inclusion", "µs", median(inclusion)),
      figure(proof, "consistency", "µs", median(consistency)),
    ];
  } finally {
    await browser.close();
  }
}
