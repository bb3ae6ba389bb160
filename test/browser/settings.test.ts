// What a company's people change about it and their conversations, in Chromium against the real runtime.

import { expect, test } from "vitest";
import { setStage } from "./support/stage.ts";

const stage = setStage("settings");
const { arrive, leaveAll } = stage;

test("U13: name, lifetime, removal and leaving reach everybody in a conversation", async () => {
  const [anna, ben, carla] = [await arrive(), await arrive(), await arrive()];
  await anna.signUp(stage.url, "Bäckerei Sommer", "Anna Sommer");
  const link = await anna.invite("5 Personen");
  await ben.join(link, "Ben Aydın");
  await carla.join(link, "Carla Winkler");
  await anna.start(["Ben Aydın", "Carla Winkler"], "Backstube");
  await ben.open("Backstube");
  await carla.open("Backstube");

  await anna.page.getByRole("button", { name: "Personen" }).click();
  await anna.page.getByLabel("Name der Unterhaltung").fill("Frühschicht");
  await anna.page.getByRole("button", { name: "Speichern" }).click();
  await ben.page.getByRole("heading", { name: "Frühschicht" }).waitFor();
  await ben.page.getByText("Die Unterhaltung heißt jetzt „Frühschicht“").waitFor();

  await ben.page.getByRole("button", { name: "Lebensdauer der Nachrichten" }).click();
  await ben.page.getByLabel("8 Stunden").check();
  await carla.page.getByText("Lebensdauer neuer Nachrichten: 8 Stunden").waitFor();
  await carla.send("Bis heute Abend");
  await ben
    .line("Bis heute Abend")
    .getByText(/^[78]:\d\d:\d\d$/)
    .waitFor();

  await carla.page.getByRole("button", { name: "Personen" }).click();
  await carla.page.getByRole("button", { name: "Unterhaltung verlassen" }).click();
  await carla.page.getByRole("dialog").getByRole("button", { name: "Verlassen" }).click();
  await carla.page.getByRole("dialog").waitFor({ state: "detached" });
  await anna.page.getByText("Nicht mehr dabei: Carla Winkler").waitFor();

  await anna.page.getByRole("button", { name: "Ben Aydın entfernen" }).click();
  await anna.page.getByRole("dialog").getByRole("button", { name: "Entfernen" }).click();
  await ben.page.getByText("Sie sind nicht mehr in dieser Unterhaltung", { exact: true }).waitFor();
  await ben.page.getByText("Sie sind nicht mehr in dieser Unterhaltung.", { exact: true }).waitFor();
  expect(await ben.page.getByRole("textbox", { name: /^Nachricht an/ }).count()).toBe(0);
  await leaveAll([anna, ben, carla]);
});

test("U34: what is loaded later is there although the network has gone since", async () => {
  const anna = await arrive();
  const loaded: string[] = [];
  anna.page.on("response", (response) => loaded.push(new URL(response.url()).pathname));
  await anna.signUp(stage.url, "Bäckerei Sommer", "Anna Sommer");
  await expect.poll(() => loaded.filter((path) => /settings|panels/.test(path)).length, { timeout: 30_000 }).toBe(2);
  await anna.context.setOffline(true);
  await anna.page.getByRole("button", { name: "Einstellungen" }).click();
  await anna.page.getByRole("heading", { name: "Einstellungen" }).waitFor();
  await anna.page.getByText("Einladungen").first().waitFor();
  await anna.context.close();
});

test("U35: a first visit can begin before the engine runs, and what was entered is done once it does", async () => {
  const anna = await arrive();
  const engine = Promise.withResolvers<void>();
  await anna.context.route("**/assets/worker-*.js", async (request) => {
    await engine.promise;
    await request.continue();
  });
  await anna.page.goto(stage.url);
  await anna.page.getByLabel("Name des Unternehmens").fill("Schreinerei Moor");
  await anna.page.getByLabel("Ihr Name").fill("Anna Moor");
  await anna.page.getByRole("button", { name: "Anmelden", exact: true }).click();
  await anna.page.getByText("Einen Moment").waitFor();
  engine.resolve();
  await anna.page.getByRole("navigation", { name: "Unterhaltungen" }).waitFor();
  // From now on nobody is taken for new here
  await anna.context.unroute("**/assets/worker-*.js");
  await anna.context.route("**/assets/worker-*.js", () => undefined);
  await anna.page.reload({ waitUntil: "domcontentloaded" });
  await anna.page.locator("[aria-busy=true]").waitFor();
  expect(await anna.page.locator("form").count()).toBe(0);
  await anna.context.close();
});

test("U14: an invitation that was withdrawn, and one that was used, say so", async () => {
  const [anna, ben] = [await arrive(), await arrive()];
  await anna.signUp(stage.url, "Imkerei Holm", "Anna Holm");
  const single = await anna.invite("1 Person");
  await ben.join(single, "Ben Holm");
  const withdrawn = await anna.invite("5 Personen");
  await anna.page.getByRole("button", { name: "Einstellungen" }).click();
  await anna.page.getByRole("button", { name: "Zurückziehen" }).click();
  await anna.page.getByText("Zurückgezogen").waitFor();
  await anna.page.getByText("Aufgebraucht").waitFor();

  const carla = await arrive();
  await carla.page.goto(single);
  await carla.page.getByText("Diese Einladung wurde bereits verwendet.").waitFor();
  // The same tab, so that no page is loaded.
  await carla.page.goto(withdrawn);
  await carla.page.getByText("Diese Einladung wurde zurückgezogen.").waitFor();
  carla.forgive(410);
  await leaveAll([anna, ben, carla]);
});

test("U15: a device that was signed out says so at once, and begins anew with nothing left of the old", async () => {
  const [anna, ben] = [await arrive(), await arrive()];
  await anna.signUp(stage.url, "Gärtnerei Blum", "Anna Blum");
  await ben.join(await anna.invite("1 Person"), "Ben Blum");
  await ben.start(["Anna Blum"]);
  await ben.send("Das bleibt nicht hier");
  await ben.sent("Das bleibt nicht hier", /Gesendet|Zugestellt/);
  expect((await ben.stored("Das bleibt nicht hier")).sealed).toBeGreaterThan(0);
  await ben.page.getByRole("button", { name: "Einstellungen" }).click();
  await ben.page.getByRole("button", { name: "Abmelden" }).click();
  await ben.page.getByRole("dialog").getByRole("button", { name: "Abmelden" }).click();
  await ben.page.getByRole("heading", { name: "Dieser Browser ist abgemeldet" }).waitFor();
  await ben.page.getByRole("button", { name: "Daten löschen und neu beginnen" }).click();
  await ben.page.getByRole("heading", { name: "Unternehmen anmelden" }).waitFor();
  expect(await ben.stored("Das bleibt nicht hier")).toEqual({ clear: 0, sealed: 0 });
  await leaveAll([anna, ben]);
});

test("U16: language and colours are switched at once and stay after a reload", async () => {
  const anna = await arrive();
  await anna.signUp(stage.url, "Werkstatt Kern", "Anna Kern");
  await anna.page.getByRole("button", { name: "Einstellungen" }).click();
  await anna.page.getByRole("button", { name: "Dunkel" }).click();
  await anna.page.getByRole("button", { name: "English" }).click();
  await anna.page.getByRole("heading", { name: "Settings" }).waitFor();
  await anna.page.reload();
  await anna.page.getByRole("heading", { name: "Settings" }).waitFor();
  const ground = await anna.page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  expect(ground).toBe("rgb(16, 20, 23)");
  await leaveAll([anna]);
});

test("U17: what came while one looked elsewhere is counted, marked where it begins, and read once seen", async () => {
  const [anna, ben] = [await arrive(), await arrive()];
  await anna.signUp(stage.url, "Kanzlei Lot", "Anna Lot");
  await ben.join(await anna.invite("1 Person"), "Ben Lot");
  await ben.start(["Anna Lot"], "Termine");
  await ben.start(["Anna Lot"]);
  await anna.open("Termine");
  await anna.send("Der Termin am Montag steht");
  await anna.send("Raum 4");
  await ben.page.getByRole("link", { name: /^Termine .*2 ungelesene Nachrichten/ }).waitFor();
  await ben.page.waitForFunction(() => document.title === "(2) Kuvert");
  await ben.open("Termine");
  await ben.line("Der Termin am Montag steht").getByText("Neue Nachrichten").waitFor();
  await ben.page.waitForFunction(() => document.title === "Kuvert");
  expect(await ben.page.getByText(/ungelesene/).count()).toBe(0);
  await ben.send("Danke");
  await ben.page.getByText("Neue Nachrichten").waitFor({ state: "detached" });
  await leaveAll([anna, ben]);
});
