// What owner and admins decide about the company, and what the operator does, as people see it in Chromium against the real runtime.

import { expect, test } from "vitest";
import type { Person } from "./support/person.ts";
import { setStage } from "./support/stage.ts";

const OPERATOR = "O".repeat(43);
const stage = setStage("admin", { operatorSecret: OPERATOR });
const { arrive, leaveAll } = stage;

async function company(name: string): Promise<{ anna: Person; ben: Person }> {
  const [anna, ben] = [await arrive(), await arrive()];
  await anna.signUp(stage.url, name, "Anna Sommer");
  await ben.join(await anna.invite("1 Person"), "Ben Aydın");
  return { anna, ben };
}

const openSettings = ({ page }: Person) => page.getByRole("button", { name: "Einstellungen" }).click();

async function giveRole({ page }: Person, name: string, role: string): Promise<void> {
  await page.getByRole("button", { name: `Rolle von ${name} ändern oder entfernen` }).press("Enter");
  const dialog = page.getByRole("dialog", { name });
  await dialog.getByRole("radio", { name: new RegExp(`^${role} `) }).check();
  await dialog.getByRole("button", { name: "Speichern" }).click();
  await dialog.waitFor({ state: "detached" });
}

test("U30: who is made an administrator decides from then on, and no longer once it is taken back", async () => {
  const { anna, ben } = await company("Bäckerei Sommer");
  await openSettings(ben);
  await ben.page.getByRole("heading", { name: "Mitglieder" }).waitFor();
  for (const name of ["Einladungen", "Ändern"]) {
    expect(await ben.page.getByText(name, { exact: true }).count()).toBe(0);
  }
  await openSettings(anna);
  await giveRole(anna, "Ben Aydın", "Verwaltung");
  await ben.page.getByRole("heading", { name: "Einladungen" }).waitFor();
  await ben.page.getByRole("button", { name: "Ändern", exact: true }).waitFor();
  // Neither oneself nor the owner
  expect(await ben.page.getByRole("button", { name: /^Rolle von/ }).count()).toBe(0);
  await giveRole(anna, "Ben Aydın", "Mitglied");
  await ben.page.getByRole("heading", { name: "Einladungen" }).waitFor({ state: "detached" });
  await leaveAll([anna, ben]);
});

test("U31: who is removed is out at once, after a question that says what happens; the others talk on", async () => {
  const { anna, ben } = await company("Imkerei Holm");
  const carla = await arrive();
  await carla.join(await anna.invite("1 Person"), "Carla Holm");
  await anna.start(["Ben Aydın", "Carla Holm"], "Stand");
  await ben.open("Stand");
  await carla.open("Stand");
  await openSettings(anna);
  await anna.page.getByRole("button", { name: /^Rolle von Ben Aydın/ }).click();
  await anna.page.getByRole("dialog").getByRole("button", { name: "Entfernen …" }).click();
  const question = anna.page.getByRole("dialog", { name: "Ben Aydın aus dem Unternehmen entfernen?" });
  await question.getByText("Alle Geräte dieser Person sind sofort abgemeldet.").waitFor();
  await question.getByRole("button", { name: "Abbrechen" }).click();
  await question.waitFor({ state: "detached" });
  await anna.page.getByRole("button", { name: /^Rolle von Ben Aydın/ }).click();
  await anna.page.getByRole("dialog").getByRole("button", { name: "Entfernen …" }).click();
  await question.getByRole("button", { name: "Entfernen", exact: true }).click();
  await question.waitFor({ state: "detached" });
  await ben.page.getByRole("heading", { name: "Dieser Browser ist abgemeldet" }).waitFor();
  await anna.page.getByText("Ausgeschieden").waitFor();
  await carla.send("Jetzt ohne Ben");
  await anna.open("Stand");
  await anna.sees("Jetzt ohne Ben");
  // What was under way when he was out
  ben.forgive(403);
  await leaveAll([anna, ben, carla]);
});

test("U32: rules for messages hold at once for everybody, and what cannot be is said before it is sent", async () => {
  const { anna, ben } = await company("Kanzlei Lot");
  await ben.start(["Anna Sommer"], "Fristen");
  await openSettings(anna);
  await anna.page.getByText("Dieser Server läuft lokal und bildet nur nach").waitFor();
  await anna.page.getByRole("button", { name: "Ändern", exact: true }).click();
  const dialog = anna.page.getByRole("dialog", { name: "Regeln für Nachrichten" });
  await dialog.getByLabel("Lebensdauer, wenn niemand eine wählt").selectOption("1 Stunde");
  await dialog.getByLabel("Längste Lebensdauer").selectOption("30 Minuten");
  await dialog.getByText("Die Voreinstellung liegt nicht zwischen").waitFor();
  expect(await dialog.getByRole("button", { name: "Speichern" }).isDisabled()).toBe(true);
  await dialog.getByLabel("Längste Lebensdauer").selectOption("1 Woche");
  await dialog.getByLabel("Auf dem Server höchstens").selectOption("90 Tage");
  await dialog.getByRole("button", { name: "Speichern" }).click();
  await dialog.waitFor({ state: "detached" });
  await anna.page.getByText("90 Tage", { exact: true }).waitFor();
  await ben.send("Bis nachher");
  await ben
    .line("Bis nachher")
    .getByText(/^(59|1:00):\d\d$/)
    .waitFor();
  await openSettings(ben);
  await ben.page.getByText("10 Sekunden bis 1 Woche").waitFor();
  await leaveAll([anna, ben]);
});

test("U33: a suspended company says so on every screen, keeps what is there, and goes on once that is lifted", async () => {
  const { anna, ben } = await company("Mühle Kern");
  await ben.start(["Anna Sommer"], "Silo");
  await ben.send("Noch da?");
  await anna.open("Silo");
  await anna.sees("Noch da?");
  await openSettings(anna);
  const id = await anna.page.locator("dt", { hasText: "Kennung" }).locator("+ dd").textContent();
  const decide = async (method: string): Promise<void> => {
    const headers = { authorization: `Bearer ${OPERATOR}` };
    const { status } = await fetch(`${stage.url}/api/operator/tenants/${id}/suspension`, { method, headers });
    expect(status).toBe(204);
  };
  await decide("PUT");
  for (const { page } of [anna, ben]) {
    await page.getByRole("heading", { name: "Das Unternehmen ist gesperrt" }).waitFor();
  }
  await ben.page.getByRole("button", { name: "Noch einmal versuchen" }).click();
  await ben.page.getByRole("heading", { name: "Das Unternehmen ist gesperrt" }).waitFor();
  await decide("DELETE");
  for (const { page } of [anna, ben]) await page.getByRole("button", { name: "Noch einmal versuchen" }).click();
  await anna.open("Silo");
  await anna.sees("Noch da?");
  await anna.send("Wieder da");
  await ben.sees("Wieder da");
  for (const person of [anna, ben]) person.forgive(403);
  await leaveAll([anna, ben]);
});
