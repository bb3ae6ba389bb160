// Owns what it costs a member to gain a device in a real browser, as people do it: linking one by a code, and coming back by the words.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { openSqliteStore } from "../client/cli/store-sqlite.ts";
import { openMessenger } from "../client/engine/messenger.ts";
import { Batch, type MessageRecord, messageKey } from "../client/engine/records.ts";
import type { Store } from "../client/engine/store.ts";
import type { Engine } from "../client/engine/view.ts";
import { randomBytes, toBase64url } from "../schemas/bytes.ts";
import type { ConversationId, MemberId } from "../schemas/ids.ts";
import { launch, openProfile } from "../test/browser/support/chromium.ts";
import { pause } from "./machine.ts";
import { type Figure, PRODUCT } from "./marks.ts";
import { startProduct } from "./product.ts";

const CONVERSATIONS = 50;
const MESSAGES = 50_000;
/** The log holds fewer than this many entries of each conversation before messages are put beside it. */
const FIRST_SEQ = 1_000;
const PATIENCE = 120_000;

const figure = (work: string, measure: string, value: number): Figure => ({
  work: `cost: ${work}`,
  target: PRODUCT,
  measure,
  unit: "ms",
  value,
});

/** A member who gains devices, somebody who sees them come in, and what both talk in. */
interface Cast {
  readonly url: string;
  readonly browser: Browser;
  readonly member: Engine;
  readonly store: Store;
  readonly witness: Engine;
  readonly conversations: readonly ConversationId[];
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (const over = performance.now() + PATIENCE; !(await condition()); await pause(50)) {
    if (performance.now() > over) throw new Error("waited in vain");
  }
}

/** Waits until every conversation has so many devices, as the witness sees it: whoever came in can be read there. */
async function joinedAll({ witness, conversations }: Cast, devices: number): Promise<void> {
  const missing = new Set(conversations);
  await until(async () => {
    for (const id of missing) if ((await witness.encryption(id)).devices.length >= devices) missing.delete(id);
    return missing.size === 0;
  });
}

const memberOf = (engine: Engine): MemberId => {
  const id = engine.snapshot().account?.member.id;
  if (id === undefined) throw new Error("no account");
  return id;
};

async function meet(member: Engine, witness: Engine): Promise<ConversationId[]> {
  await member.signUp({ organisation: "Bench GmbH", name: "Otto Owner", deviceName: "bench" });
  const link = await member.invite({ role: "member", uses: 1, expiresIn: 3_600_000 });
  await witness.join({ link, name: "Wilma Witness", deviceName: "bench" });
  await until(() => member.snapshot().members.length === 2);
  await witness.settled(PATIENCE);
  const conversations: ConversationId[] = [];
  for (let at = 0; at < CONVERSATIONS; at++) {
    conversations.push(await member.create({ title: `Unterhaltung ${at}`, members: [memberOf(witness)] }));
  }
  await member.settled(PATIENCE);
  await until(
    () => witness.snapshot().conversations.filter(({ state }) => state === "active").length === CONVERSATIONS,
  );
  return conversations;
}

const listed = (tab: Page): Promise<void> =>
  tab
    .locator(".entry")
    .nth(CONVERSATIONS - 1)
    .waitFor({ timeout: PATIENCE });

/** From the yes on the first device until the browser lists all conversations, and until it is in all of them. */
async function linkBrowser(cast: Cast): Promise<Figure[]> {
  const { url, browser, member } = cast;
  await member.offerLink();
  const shown = member.snapshot().linking;
  if (shown?.kind !== "shown") throw new Error("no code");
  const profile = await openProfile(browser);
  const tab = await profile.newPage();
  await tab.goto(`${url}/link#${shown.code}`);
  await until(() => member.snapshot().linking?.kind === "answered");
  await tab.getByRole("heading", { name: "Ziffern vergleichen" }).waitFor();
  const start = performance.now();
  await member.confirmLink();
  await listed(tab);
  const there = performance.now() - start;
  await joinedAll(cast, 3);
  const joined = performance.now() - start;
  await profile.close();
  const work = `linking with ${CONVERSATIONS} conversations`;
  return [figure(work, "all listed", there), figure(work, "all joined", joined)];
}

/** Puts a history into the member's store that the member has received but not read. */
async function fill({ store, member, witness, conversations }: Cast): Promise<void> {
  const authors = [memberOf(member), memberOf(witness)] as const;
  const each = MESSAGES / conversations.length;
  for (const conversation of conversations) {
    const batch = new Batch();
    for (let at = 0; at < each; at++) {
      const seq = FIRST_SEQ + at;
      const key = toBase64url(randomBytes(16));
      const text = `Nachricht ${at} `.padEnd(20 + ((at * 37) % 181), "und noch ein Wort dazu ");
      const from = authors[at % 2] ?? authors[0];
      const line: MessageRecord = { key, seq, from, at: Date.now(), body: { kind: "text", text }, expiresAt: null };
      batch.put("messages", messageKey(conversation, seq, 0), line);
    }
    await store.write(batch.writes);
  }
}

/** How many messages a profile's database holds. */
function countMessages(tab: Page): Promise<number> {
  return tab.evaluate(
    () =>
      new Promise<number>((resolve, reject) => {
        const opened = indexedDB.open("kuvert");
        opened.onerror = () => reject(opened.error);
        opened.onsuccess = () => {
          const count = opened.result.transaction("messages").objectStore("messages").count();
          count.onerror = () => reject(count.error);
          count.onsuccess = () => {
            opened.result.close();
            resolve(count.result);
          };
        };
      }),
  );
}

/** From the words, entered in an empty browser, until their history is in its sealed store, and until it is in all conversations again. */
async function restoreBrowser(cast: Cast): Promise<Figure[]> {
  const { url, browser, member } = cast;
  const words = await member.recoveryWords();
  await fill(cast);
  await member.backUp();
  // What has changed meanwhile needs another run
  if (member.snapshot().safekeeping?.backup === "waiting") await member.backUp();
  if (member.snapshot().safekeeping?.backup !== "current") throw new Error("no backup was made");
  const profile = await openProfile(browser);
  const tab = await profile.newPage();
  await tab.goto(`${url}/recover`);
  await tab.getByLabel("Ihre 24 Wörter").fill(words.join(" "));
  const start = performance.now();
  await tab.getByRole("button", { name: "Wiederherstellen", exact: true }).click();
  await tab.getByRole("heading", { name: "Ihre Geräte" }).waitFor({ timeout: PATIENCE });
  const restored = performance.now() - start;
  await joinedAll(cast, 4);
  const joined = performance.now() - start;
  if ((await countMessages(tab)) < MESSAGES) throw new Error("not everything was restored");
  await profile.close();
  const work = `restoring ${MESSAGES.toLocaleString("en")} messages`;
  return [figure(work, "history there", restored), figure(work, "all joined", joined)];
}

/** Both ways to a further device: in Chromium, with the engine in its worker and the store sealed, against the product as it runs locally. */
export async function measureGaining(): Promise<Figure[]> {
  const running = await startProduct();
  const folder = mkdtempSync(join(tmpdir(), "kuvert-bench-gaining-"));
  const browser = await launch();
  const open = (store: Store): Promise<Engine> => openMessenger({ store, server: running.url });
  const store = await openSqliteStore(join(folder, "member"));
  const member = await open(store);
  const witness = await open(await openSqliteStore(join(folder, "witness")));
  try {
    const conversations = await meet(member, witness);
    const cast = { url: running.url, browser, member, store, witness, conversations };
    return [...(await linkBrowser(cast)), ...(await restoreBrowser(cast))];
  } finally {
    await member.close();
    await witness.close();
    await browser.close();
    await running.dispose();
    rmSync(folder, { recursive: true, force: true });
  }
}
