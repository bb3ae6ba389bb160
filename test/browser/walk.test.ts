// The walk through the whole product in Chromium, against the real runtime: a company signs up, three people talk, a timed message
// destroys itself everywhere, and the client comes through a reload, a lost network and a second tab.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type Server, serve } from "../../scripts/server.ts";
import { readLogs } from "../support/server-files.ts";
import { step } from "../support/step.ts";
import { type Cable, layCable } from "./support/cable.ts";
import { closeProfiles, DESKTOP, launch, namelessControls, openProfile, PHONE, picture } from "./support/chromium.ts";
import { Person } from "./support/person.ts";

/** What Chromium itself says of a lost network; any other complaint counts. */
const OFFLINE = /net::ERR_/;

let state: string;
let server: Server;
let browser: Browser;
let cable: Cable;
beforeAll(async () => {
  state = mkdtempSync(join(tmpdir(), "kuvert-walk-"));
  server = await serve({ port: 0, state, requestsPerMinute: 10_000, quiet: true });
  cable = await layCable(server.url);
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  await cable?.stop();
  await server?.stop();
  rmSync(state, { recursive: true, force: true });
});

beforeEach(() => cable.plug());
afterEach(() => closeProfiles(browser));

/** All ciphertext the server holds, as text that compares equal when the bytes do. */
const ciphertexts = (): readonly string[] =>
  readLogs(state).flatMap((rows) =>
    rows.flatMap(({ bytes }) => (bytes === null ? [] : [Buffer.from(bytes).toString("hex")])),
  );

test("U6, U7, U8, U9, U10, U11, X40: the walk", { timeout: 600_000 }, async () => {
  const anna = await Person.at(await openProfile(browser));
  const ben = await Person.at(await openProfile(browser));
  const carla = await Person.at(await openProfile(browser, PHONE));

  await step("a company signs up and a second person joins by link", async () => {
    await anna.page.goto(server.url);
    await anna.page.getByText("Dieser Server läuft lokal").waitFor();
    await picture(anna.page, "walk-1-first-visit");
    await anna.signUp(server.url, "Bäckerei Sommer", "Anna Sommer");
    await anna.page.getByText("Noch ist niemand außer Ihnen hier").waitFor();
    const link = await anna.invite("5 Personen");
    const linkForBen = link.replace(server.url, cable.url);
    await ben.page.goto(linkForBen);
    await ben.page.getByText("Anna Sommer hat Sie eingeladen.").waitFor();
    expect(ben.page.url()).toBe(`${cable.url}/join`);
    await ben.join(linkForBen, "Ben Aydın");
    await carla.join(link, "Carla Winkler");
  });

  await step("two people talk both ways and see what was delivered", async () => {
    await ben.start(["Anna Sommer"]);
    await ben.send("Guten Morgen Anna!");
    await anna.open("Ben Aydın");
    await anna.sees("Guten Morgen Anna!");
    await anna.send("Guten Morgen Ben, hast du gut geschlafen?");
    await ben.sees("Guten Morgen Ben, hast du gut geschlafen?");
    await ben.sent("Guten Morgen Anna!", /Zugestellt/);
    await anna.sent("Guten Morgen Ben, hast du gut geschlafen?", /Zugestellt/);
  });

  await step("a third person is added to a group and reads what is said from then on", async () => {
    await anna.start(["Ben Aydın"], "Backstube");
    await anna.send("Nur für zwei");
    await ben.open("Backstube");
    await ben.sees("Nur für zwei");
    await anna.page.getByRole("button", { name: "Personen" }).click();
    await anna.page.getByRole("button", { name: "Hinzufügen" }).click();
    const dialog = anna.page.getByRole("dialog", { name: "Personen hinzufügen" });
    await dialog.getByLabel("Carla Winkler").check();
    await dialog.getByRole("button", { name: "Hinzufügen" }).click();
    await carla.open("Backstube");
    await carla.page.getByText("Anna Sommer hat Sie hinzugefügt").waitFor();
    for (const { page } of [anna, ben, carla]) await page.getByText("3 Personen", { exact: true }).first().waitFor();
    await anna.page.keyboard.press("Escape");
    await anna.send("Willkommen Carla!");
    await ben.send("Schön, dass du da bist.");
    await carla.sees("Schön, dass du da bist.");
    await carla.sees("Willkommen Carla!");
    await carla.send("Danke euch!");
    await anna.sees("Danke euch!");
    await ben.sees("Danke euch!");
    expect(await carla.line("Nur für zwei").count()).toBe(0);
    await picture(anna.page, "walk-2-group");
    await picture(carla.page, "walk-3-phone");
  });

  await step(
    "a message of ten seconds goes from both screens, both databases and the server, and never reaches who was away",
    async () => {
      await carla.page.close();
      const before = ciphertexts();
      await anna.send("Der Zugangscode ist 4471", "10 Sekunden");
      await ben.sees("Der Zugangscode ist 4471");
      // Somebody is away, so the server must still hold it; this is what the timer has to destroy.
      const held = ciphertexts().filter((bytes) => !before.includes(bytes));
      expect(held.length).toBeGreaterThan(0);
      for (const person of [anna, ben]) {
        const { clear, sealed } = await person.stored("Der Zugangscode ist 4471");
        expect([clear, sealed > 0]).toEqual([0, true]);
      }
      await anna.sent("Der Zugangscode ist 4471", /Gesendet/);
      await ben.line("Der Zugangscode ist 4471").getByText(/0:0\d/).waitFor();
      await picture(ben.page, "walk-4-countdown");

      for (const person of [anna, ben]) {
        await person.line("Der Zugangscode ist 4471").waitFor({ state: "detached" });
        await expect.poll(() => person.stored("Der Zugangscode ist 4471")).toEqual({ clear: 0, sealed: 0 });
      }
      await expect.poll(() => ciphertexts().filter((bytes) => held.includes(bytes))).toEqual([]);

      await anna.send("Code steht jetzt an der Tür");
      carla.page = await carla.context.newPage();
      await carla.page.goto(server.url);
      await carla.open("Backstube");
      await carla.sees("Code steht jetzt an der Tür");
      expect(await carla.line("Der Zugangscode ist 4471").count()).toBe(0);
      expect(await carla.stored("Der Zugangscode ist 4471")).toEqual({ clear: 0, sealed: 0 });
    },
  );

  await step("a reload comes back to the same conversation and goes on", async () => {
    await anna.page.reload();
    await anna.page.getByRole("heading", { name: "Backstube" }).waitFor();
    await anna.sees("Willkommen Carla!");
    await anna.send("Wieder da");
    await ben.sees("Wieder da");
  });

  await step("what is written offline waits, and is there once on all sides after the network is back", async () => {
    await ben.context.setOffline(true);
    cable.pull();
    await ben.page.getByText("Offline. Nachrichten gehen hinaus").waitFor();
    await ben.send("Aus dem Keller geschrieben");
    await ben.sent("Aus dem Keller geschrieben", /Wird gesendet/);
    await anna.send("Bist du im Keller?");
    await anna.sent("Bist du im Keller?", /Gesendet/);
    await picture(ben.page, "walk-5-offline");
    cable.plug();
    await ben.context.setOffline(false);
    await ben.sent("Aus dem Keller geschrieben", /Gesendet|Zugestellt/);
    await ben.sees("Bist du im Keller?");
    await anna.sees("Aus dem Keller geschrieben");
    for (const person of [anna, ben]) {
      expect(await person.line("Aus dem Keller geschrieben").count()).toBe(1);
      expect(await person.line("Bist du im Keller?").count()).toBe(1);
    }
    const unexpected = ben.complaints.filter((complaint) => !OFFLINE.test(complaint));
    ben.complaints.splice(0, ben.complaints.length, ...unexpected);
  });

  await step("a second tab offers to take over, and the first then offers the same", async () => {
    const first = anna.page;
    const second = await anna.context.newPage();
    await second.goto(server.url);
    await second.getByRole("heading", { name: "Kuvert ist bereits in einem anderen Tab geöffnet" }).waitFor();
    await picture(second, "walk-6-second-tab");
    await second.getByRole("button", { name: "Hier öffnen" }).click();
    anna.page = second;
    await anna.open("Backstube");
    await anna.send("Aus dem zweiten Tab");
    await ben.sees("Aus dem zweiten Tab");
    await first.getByRole("heading", { name: "Kuvert ist bereits in einem anderen Tab geöffnet" }).waitFor();
    await second.close();
    anna.page = first;
    await anna.sees("Aus dem zweiten Tab");
  });

  await step("the encryption panel shows everyone the same code", async () => {
    for (const person of [anna, ben, carla]) {
      await person.page.getByRole("button", { name: "Wie ist das verschlüsselt?" }).click();
    }
    const codes = [anna, ben, carla].map(({ page }) =>
      page.getByRole("complementary", { name: "Wie ist das verschlüsselt?" }).locator(".code").textContent(),
    );
    const [code, ...others] = await Promise.all(codes);
    expect(code).toMatch(/\d{5}/);
    expect(new Set(others)).toEqual(new Set([code]));
    await picture(anna.page, "walk-7-encryption");
    expect(await namelessControls(anna.page)).toEqual([]);
  });

  await step("the walk broke no rule of the content policy and left no error on any console", () => {
    expect({ anna: anna.complaints, ben: ben.complaints, carla: carla.complaints }).toEqual({
      anna: [],
      ben: [],
      carla: [],
    });
  });
});

test("U11: the served page lets no text become HTML and no script come from elsewhere", async () => {
  const context = await openProfile(browser);
  const page = await context.newPage();
  await page.goto(server.url);
  const outcomes = await page.evaluate(() => {
    const attempt = (work: () => unknown): string => {
      try {
        work();
        return "done";
      } catch (error) {
        return (error as Error).name;
      }
    };
    const element = document.createElement("div");
    return {
      html: attempt(() => Object.assign(element, { innerHTML: "<b>x</b>" })),
      worker: attempt(() => new Worker("/elsewhere.js")),
      policy: attempt(() => Reflect.get(globalThis, "trustedTypes").createPolicy("kuvert", {})),
    };
  });
  expect(outcomes).toEqual({ html: "TypeError", worker: "TypeError", policy: "TypeError" });
  await context.close();
});

test("U12: sign-up, invitation, conversation and message need nothing but the keyboard", async () => {
  const dora = await Person.at(await openProfile(browser, DESKTOP));
  const { page } = dora;
  const { keyboard } = page;
  /** Presses Tab until this has the focus. */
  const reach = async (name: string | RegExp, role: "button" | "textbox" | "checkbox"): Promise<void> => {
    const target = page.getByRole(role, { name, exact: true });
    await target.first().waitFor();
    for (let presses = 0; presses < 60; presses += 1) {
      const focused = await target.evaluateAll((found) => found.includes(document.activeElement as HTMLElement));
      if (focused) return;
      await keyboard.press("Tab");
    }
    throw new Error(`${name} is out of the keyboard's reach`);
  };
  await page.goto(server.url);
  await reach("Name des Unternehmens", "textbox");
  await keyboard.type("Imkerei Holm");
  await reach("Ihr Name", "textbox");
  await keyboard.type("Dora Holm");
  await keyboard.press("Enter");
  await reach("Einstellungen", "button");
  await keyboard.press("Enter");
  await reach("Link erstellen", "button");
  await keyboard.press("Enter");
  const link = await page.getByLabel("Einladungslink").inputValue();
  const emil = await Person.at(await openProfile(browser));
  await emil.join(link, "Emil Holm");
  await page.getByText("2 Personen").waitFor();
  await reach("Neue Unterhaltung", "button");
  await keyboard.press("Enter");
  await reach("Emil Holm", "checkbox");
  await keyboard.press("Space");
  await reach("Unterhaltung beginnen", "button");
  await keyboard.press("Enter");
  await reach("Nachricht an Emil Holm", "textbox");
  await keyboard.type("Nur mit Tasten");
  await keyboard.press("Enter");
  await emil.open("Dora Holm");
  await emil.sees("Nur mit Tasten");
  expect([...dora.complaints, ...emil.complaints]).toEqual([]);
  await dora.context.close();
  await emil.context.close();
});
