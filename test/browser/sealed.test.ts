// What lies on the disk of a browser that uses Kuvert, and what it takes to read it: in Chromium against the real runtime, over profile folders
// that are copied as a thief would.

import { cpSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, type BrowserContext, chromium } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { type AccountRecord, decodeRecord } from "../../client/engine/records.ts";
import { type Server, serve } from "../../scripts/server.ts";
import { Needles } from "../support/needles.ts";
import { contentsOf } from "../support/server-files.ts";
import { step } from "../support/step.ts";
import { CHROMIUM, closeProfiles, DESKTOP, launch, openProfile, picture, QUIET, WAITS } from "./support/chromium.ts";
import { Person } from "./support/person.ts";

const PASSPHRASE = "vier Hörnchen, bitte";
/** Deriving from a passphrase takes its time on a busy machine. */
const SLOW = { timeout: 60_000 } as const;

let folder: string;
/** Where this try of a test has its profiles. */
let profiles: string;
let server: Server;
let browser: Browser;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "kuvert-rest-"));
  server = await serve({ port: 0, state: join(folder, "server"), requestsPerMinute: 10_000, quiet: true });
  browser = await launch();
});
beforeEach(() => {
  profiles = mkdtempSync(join(folder, "profiles-"));
});
afterEach(() => closeProfiles(browser));
afterAll(async () => {
  await browser?.close();
  await server?.stop();
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

/** A browser whose profile is a folder on disk; it ends with the test at the latest. */
async function startBrowser(name: string): Promise<BrowserContext> {
  const context = await chromium.launchPersistentContext(join(profiles, name), {
    executablePath: CHROMIUM,
    args: QUIET,
    locale: "de-DE",
    ...DESKTOP,
  });
  onTestFinished(() => context.close());
  context.setDefaultTimeout(WAITS);
  return context;
}

/** Which of these secrets stand in the databases of a profile folder. */
function foundIn(name: string, secrets: ReadonlyMap<string, Buffer>): readonly string[] {
  const needles = new Needles(secrets);
  const files = contentsOf(join(profiles, name, "Default", "IndexedDB"));
  expect(files.size).toBeGreaterThan(0);
  return [...new Set([...files.values()].flatMap((content) => [...needles.findIn(content)]))];
}

const texts = (...of: readonly string[]) => new Map(of.map((text) => [text, Buffer.from(text)]));

/** The secret keys of the account in a profile that is open. */
async function keysOf(person: Person): Promise<Map<string, Buffer>> {
  const { rows } = await person.databases();
  const row = rows.find(({ table, key }) => table === "meta" && key === "account");
  const account = decodeRecord<AccountRecord>(Buffer.from(row?.value ?? "", "latin1"));
  return new Map([
    ["identity key", Buffer.from(account.identityKeys.privateKey)],
    ["device key", Buffer.from(account.signatureKeys.privateKey)],
  ]);
}

describe("on disk", () => {
  const written = [
    "Bäckerei Sonnenblume & Söhne",
    "Annegret Sommerfeld-Ohm",
    "Geheimrezept Roggenbrot",
    "Vier Kilo Sauerteig kommen um sechs",
  ];

  test("S12, S14, U20: no name, title, text or key of a profile stands in clear on disk, and no copy opens once its device is signed out", async () => {
    let anna = await Person.at(await startBrowser("anna"));

    await step("before the server has taken a sign-up, no name and no key of it stands in clear on disk", async () => {
      const { promise: asked, resolve: arrived } = Promise.withResolvers<() => Promise<void>>();
      await anna.page.route("**/api/tenants", (route) => arrived(() => route.continue()));
      const signedUp = anna.signUp(server.url, written[0] ?? "", written[1] ?? "");
      const goOn = await asked;
      expect(foundIn("anna", texts(...written))).toEqual([]);
      await goOn();
      await signedUp;
    });

    await step(
      "no name, title, text or key stands in clear in any database file, and a reload shows them all",
      async () => {
        const ben = await Person.at(await openProfile(browser));
        await ben.join(await anna.invite("1 Person"), "Ben Aydın");
        await anna.start(["Ben Aydın"], written[2]);
        await anna.send(written[3] ?? "");
        await ben.open(written[2] ?? "");
        await ben.sees(written[3] ?? "");
        await anna.page.reload();
        await anna.sees(written[3] ?? "");
        const secrets = new Map([...texts(...written, "Ben Aydın aus der Backstube"), ...(await keysOf(anna))]);
        await anna.context.close();
        expect(foundIn("anna", secrets)).toEqual([]);
        await ben.context.close();
      },
    );

    await step("a copy of the folder opens until the device is signed out, and never again", async () => {
      for (const copy of ["copy-before", "copy-after"])
        cpSync(join(profiles, "anna"), join(profiles, copy), { recursive: true });
      const thief = await Person.at(await startBrowser("copy-before"));
      await thief.page.goto(server.url);
      await thief.page.getByRole("link", { name: /^Geheimrezept Roggenbrot/ }).waitFor();
      await thief.context.close();

      anna = await Person.at(await startBrowser("anna"));
      await anna.page.goto(server.url);
      await anna.page.getByRole("button", { name: "Einstellungen" }).click();
      await anna.page.getByRole("button", { name: "Abmelden" }).click();
      await anna.page.getByRole("dialog").getByRole("button", { name: "Abmelden" }).click();
      await anna.page.getByRole("heading", { name: "Dieser Browser ist abgemeldet" }).waitFor();
      await anna.context.close();

      const late = await Person.at(await startBrowser("copy-after"));
      for (const _ of [1, 2]) {
        await late.page.goto(server.url);
        await late.page.getByRole("heading", { name: "Dieser Browser ist abgemeldet" }).waitFor();
        const counts = await late.page.evaluate(async () => {
          const request = indexedDB.open("kuvert");
          await new Promise((resolve) => {
            request.onsuccess = resolve;
          });
          const { result: database } = request;
          const tables = [...database.objectStoreNames].filter((name) => name !== "seal" && name !== "writer");
          const requests = tables.map((table) => database.transaction(table).objectStore(table).count());
          await Promise.all(
            requests.map(
              (each) =>
                new Promise((resolve) => {
                  each.onsuccess = resolve;
                }),
            ),
          );
          database.close();
          return requests.map(({ result }) => result);
        });
        expect(new Set(counts)).toEqual(new Set([0]));
      }
      await late.page.getByRole("button", { name: "Daten löschen und neu beginnen" }).click();
      await late.page.getByRole("heading", { name: "Unternehmen anmelden" }).waitFor();
      await late.context.close();
      expect(existsSync(join(profiles, "copy-after"))).toBe(true);
    });
  });

  test("U20: the search finds what a browser is made to keep in clear", async () => {
    const context = await startBrowser("control");
    const page = await context.newPage();
    await page.goto(server.url);
    await page.evaluate(async (all) => {
      const request = indexedDB.open("control");
      request.onupgradeneeded = () => request.result.createObjectStore("rows");
      await new Promise((resolve) => {
        request.onsuccess = resolve;
      });
      const transaction = request.result.transaction("rows", "readwrite");
      for (const text of all) transaction.objectStore("rows").put(new TextEncoder().encode(text), text.length);
      await new Promise((resolve) => {
        transaction.oncomplete = resolve;
      });
    }, written);
    await context.close();
    expect(foundIn("control", texts(...written))).toEqual(written);
  });
});

test("S13, U22: without the server a profile waits on a quiet screen, and opens by itself", async () => {
  const dora = await Person.at(await openProfile(browser));
  await dora.signUp(server.url, "Imkerei Holm", "Dora Holm");
  await dora.page.route("**/api/shares/open", (route) => route.abort());
  await dora.page.reload();
  await dora.page.getByRole("heading", { name: "Zum Öffnen fehlt die Verbindung" }).waitFor();
  await picture(dora.page, "rest-unreachable");
  await dora.page.unroute("**/api/shares/open");
  await dora.page.getByRole("navigation", { name: "Unterhaltungen" }).waitFor();
  await dora.context.close();
});

/** A person with the app lock on, back on the list. */
async function guarded(name: string): Promise<Person> {
  const person = await Person.at(await openProfile(browser));
  await person.signUp(server.url, "Schlosserei Kern", name);
  await person.page.getByRole("button", { name: "Einstellungen" }).click();
  await person.page.getByRole("button", { name: "Sperre einschalten" }).click();
  const dialog = person.page.getByRole("dialog", { name: "Sperre einschalten" });
  await dialog.getByLabel("Neue Passphrase").fill(PASSPHRASE);
  await dialog.getByLabel("Passphrase wiederholen").fill(PASSPHRASE);
  await dialog.getByRole("button", { name: "Sperre einschalten" }).click();
  await dialog.waitFor({ state: "detached", ...SLOW });
  return person;
}

const isLocked = ({ page }: Person): Promise<void> =>
  page.getByRole("heading", { name: "Kuvert ist gesperrt" }).waitFor();

async function enter({ page }: Person, passphrase: string): Promise<void> {
  await page.getByLabel("Passphrase", { exact: true }).fill(passphrase);
  await page.getByRole("button", { name: "Entsperren" }).click();
}

const isOpen = ({ page }: Person): Promise<void> => page.getByRole("heading", { name: "Einstellungen" }).waitFor(SLOW);

describe("the app lock", () => {
  test("S15, U21: locked by the button, by a reload and by the minutes, in every tab, until the passphrase is right", {
    timeout: 300_000,
  }, async () => {
    const anna = await guarded("Anna Kern");
    await anna.page.getByRole("button", { name: "Jetzt sperren" }).first().click();
    await isLocked(anna);
    await picture(anna.page, "rest-guarded");
    await enter(anna, "fünf Hörnchen, bitte");
    await anna.page.getByText("9 Versuche bleiben").waitFor(SLOW);
    await anna.page.reload();
    await isLocked(anna);

    const first = anna.page;
    anna.page = await anna.context.newPage();
    await anna.page.goto(`${server.url}/settings`);
    await anna.page.getByRole("button", { name: "Hier öffnen" }).click();
    await isLocked(anna);
    await enter(anna, PASSPHRASE);
    await isOpen(anna);
    await first.getByRole("heading", { name: "Kuvert ist bereits in einem anderen Tab geöffnet" }).waitFor();
    await first.close();

    await anna.page.getByLabel("Sperren nach").selectOption("15 Minuten");
    await anna.page.reload();
    await isLocked(anna);
    await enter(anna, PASSPHRASE);
    await isOpen(anna);
    await expect.poll(() => anna.page.getByLabel("Sperren nach").inputValue()).toBe("15");
    await anna.page.clock.install();
    await anna.page.reload();
    await enter(anna, PASSPHRASE);
    await isOpen(anna);
    await anna.page.clock.fastForward("14:00");
    expect(await anna.page.getByRole("heading", { name: "Einstellungen" }).isVisible()).toBe(true);
    await anna.page.mouse.move(10, 10);
    await anna.page.clock.fastForward("14:00");
    expect(await anna.page.getByRole("heading", { name: "Einstellungen" }).isVisible()).toBe(true);
    await anna.page.clock.fastForward("01:30");
    await isLocked(anna);
    await enter(anna, PASSPHRASE);
    await isOpen(anna);

    await anna.page.getByRole("button", { name: "Sperre ausschalten" }).click();
    const dialog = anna.page.getByRole("dialog", { name: "Sperre ausschalten" });
    await dialog.getByLabel("Bisherige Passphrase").fill(PASSPHRASE);
    await dialog.getByRole("button", { name: "Sperre ausschalten" }).click();
    await dialog.waitFor({ state: "detached", ...SLOW });
    await anna.page.reload();
    await isOpen(anna);
    await anna.context.close();
  });

  test("H42, U21: the fifth wrong passphrase brings a wait, and whoever has forgotten it begins anew with nothing left", {
    timeout: 300_000,
  }, async () => {
    const ben = await guarded("Ben Kern");
    await ben.page.reload();
    for (const left of [9, 8, 7, 6, 5]) {
      await isLocked(ben);
      await enter(ben, `Hörnchen Nummer ${left}`);
      await ben.page.getByText(`${left} Versuche bleiben`).waitFor(SLOW);
    }
    await ben.page.getByText(/Der nächste Versuch ist in 0:\d\d möglich/).waitFor();
    expect(await ben.page.getByRole("button", { name: "Entsperren" }).isDisabled()).toBe(true);
    await picture(ben.page, "rest-guarded-wait");
    await ben.page.getByRole("button", { name: "Passphrase vergessen?" }).click();
    await ben.page.getByRole("dialog").getByRole("button", { name: "Daten löschen und neu beginnen" }).click();
    await ben.page.getByRole("heading", { name: "Unternehmen anmelden" }).waitFor();
    // What a profile has before anybody signs up: that it is running, sealed, and who writes
    await expect
      .poll(() => ben.databases(), SLOW)
      .toEqual({ clear: ["running", expect.any(String), expect.any(String)], rows: [] });
    await ben.context.close();
  });
});
