// Passkeys as people meet them, with Chromium's virtual authenticator against the real runtime: with PRF the whole way there and back, without it
// a sentence and the words.

import type { Locator } from "playwright-core";
import { expect, test } from "vitest";
import { Authenticator } from "./support/authenticator.ts";
import { BACKUP_WAITS } from "./support/chromium.ts";
import type { Person } from "./support/person.ts";
import { setStage } from "./support/stage.ts";

const stage = setStage("passkeys");
const { arrive } = stage;

async function leaveAll(people: readonly Person[]): Promise<void> {
  for (const person of people) person.forgive(404);
  await stage.leaveAll(people);
}

const sectionOf = ({ page }: Person): Locator => page.getByRole("region", { name: "Passkeys" });

/** Has the words made and looks at them; they are not confirmed. */
async function makeWords({ page }: Person): Promise<readonly string[]> {
  await page.getByRole("button", { name: "Einstellungen" }).click();
  const recovery = page.getByRole("region", { name: "Wiederherstellung" });
  await recovery.getByRole("button", { name: "Wörter aufschreiben" }).click();
  const sheet = page.getByRole("dialog", { name: "Ihre 24 Wörter" });
  await sheet.locator(".words li").first().waitFor();
  const words = await sheet.locator(".words li").allTextContents();
  await sheet.getByRole("button", { name: "Schließen" }).click();
  await recovery.getByText("Die verschlüsselte Sicherung ist aktuell.").waitFor({ timeout: BACKUP_WAITS });
  return words;
}

/** Goes as far as the authenticator's answer to making a passkey. */
async function tryAdding(person: Person, name: string): Promise<Locator> {
  await sectionOf(person).getByRole("button", { name: "Passkey hinzufügen" }).click();
  const dialog = person.page.getByRole("dialog", { name: "Passkey hinzufügen" });
  await dialog.getByLabel("Name des Passkeys").fill(name);
  await dialog.getByRole("button", { name: "Passkey anlegen" }).click();
  return dialog;
}

async function add(person: Person, name: string): Promise<void> {
  await (await tryAdding(person, name)).waitFor({ state: "detached" });
  await sectionOf(person).getByText(name, { exact: true }).waitFor();
}

async function tryRecovering({ page }: Person): Promise<void> {
  await page.getByRole("button", { name: "Mit Wiederherstellungswörtern oder Passkey" }).click();
  await page.getByRole("button", { name: "Mit Passkey wiederherstellen" }).click();
}

test("G13: a passkey brings everything back into an empty browser without a word typed", {
  timeout: 240_000,
}, async () => {
  const [anna, ben] = [await arrive(), await arrive()];
  await anna.signUp(stage.named, "Bäckerei Sommer", "Anna Sommer");
  await ben.join(await anna.invite("1 Person"), "Ben Aydın");
  await ben.start(["Anna Sommer"], "Backstube");
  await ben.send("Brot ist im Ofen");
  await anna.open("Backstube");
  await anna.sees("Brot ist im Ofen");
  const authenticator = await Authenticator.at(anna.page, { hasPrf: true });
  await anna.page.getByRole("button", { name: "Einstellungen" }).click();
  await sectionOf(anna).getByText("Erst brauchen Sie Ihre 24 Wörter").waitFor();
  expect(await sectionOf(anna).getByRole("button").count()).toBe(0);
  await makeWords(anna);
  await add(anna, "Annas Telefon");

  await authenticator.emptyBrowser(stage.named);
  await tryRecovering(anna);
  await anna.page.getByRole("heading", { name: "Ihre Geräte" }).waitFor();
  await sectionOf(anna).getByText("Zuletzt verwendet").waitFor();
  await anna.open("Backstube");
  await anna.sees("Brot ist im Ofen");
  await ben.send("Bist du wieder da?");
  await anna.sees("Bist du wieder da?");
  await anna.send("Ja!");
  await ben.sees("Ja!");
  await leaveAll([anna, ben]);
});

test("G14: where an authenticator has no PRF, making and using a passkey say so and offer the words; nothing of it stays", {
  timeout: 240_000,
}, async () => {
  const anna = await arrive();
  await anna.signUp(stage.named, "Imkerei Holm", "Anna Holm");
  const plain = await Authenticator.at(anna.page, { hasPrf: false });
  const words = await makeWords(anna);
  const dialog = await tryAdding(anna, "Alter Stick");
  await dialog.getByText(/es fehlt die Erweiterung PRF\) und wurde nicht hinzugefügt/).waitFor();
  expect(await plain.credentials()).toEqual([]);
  await dialog.getByRole("button", { name: "Wörter aufschreiben" }).click();
  await anna.page
    .getByRole("dialog", { name: "Ihre 24 Wörter" })
    .getByText(words[0] ?? "", { exact: true })
    .waitFor();
  await anna.page.getByRole("button", { name: "Schließen" }).click();
  await anna.page.reload();
  await sectionOf(anna).getByRole("button", { name: "Passkey hinzufügen" }).waitFor();
  expect(await sectionOf(anna).getByRole("listitem").count()).toBe(0);

  const other = await arrive();
  await other.page.goto(stage.named);
  await tryRecoveringWithout(anna, other);
  await other.page.getByLabel("Ihre 24 Wörter").fill(words.join(" "));
  await other.page.getByRole("button", { name: "Wiederherstellen", exact: true }).click();
  await other.page.getByRole("heading", { name: "Ihre Geräte" }).waitFor();
  await leaveAll([anna, other]);
});

/** A passkey made with PRF, in a browser whose authenticator lacks it. */
async function tryRecoveringWithout(anna: Person, other: Person): Promise<void> {
  const page = await anna.context.newPage();
  await anna.page.close();
  anna.page = page;
  await page.goto(`${stage.named}/settings`);
  const good = await Authenticator.at(page, { hasPrf: true });
  await add(anna, "Neuer Stick");
  const [credential] = await good.credentials();
  if (credential === undefined) throw new Error("no passkey was made");
  const plain = await Authenticator.at(other.page, { hasPrf: false });
  await plain.carry(credential);
  await tryRecovering(other);
  await other.page.getByText(/es fehlt die Erweiterung PRF\)\. Geben Sie bitte Ihre 24 Wörter ein/).waitFor();
}

test("G15: passkeys are listed and removed; a removed one opens nothing any more and says so", {
  timeout: 240_000,
}, async () => {
  const anna = await arrive();
  await anna.signUp(stage.named, "Mühle Kern", "Anna Kern");
  const authenticator = await Authenticator.at(anna.page, { hasPrf: true });
  await makeWords(anna);
  await add(anna, "Annas Telefon");
  const again = await tryAdding(anna, "Noch einmal");
  await again.getByText("Dort gibt es schon einen Ihrer Passkeys.").waitFor();
  await again.getByRole("button", { name: "Schließen" }).click();
  await sectionOf(anna).getByRole("button", { name: "Entfernen" }).click();
  const question = anna.page.getByRole("dialog", { name: "Passkey „Annas Telefon“ entfernen?" });
  await question.getByRole("button", { name: "Entfernen" }).click();
  await question.waitFor({ state: "detached" });
  expect(await sectionOf(anna).getByRole("listitem").count()).toBe(0);
  // The browser was told, so that it does not offer it either
  expect(await authenticator.credentials()).toEqual([]);

  await add(anna, "Annas Tablet");
  // As in a browser that cannot be told
  await anna.page.evaluate(() => Reflect.set(PublicKeyCredential, "signalUnknownCredential", undefined));
  await sectionOf(anna).getByRole("button", { name: "Entfernen" }).click();
  await anna.page.getByRole("dialog").getByRole("button", { name: "Entfernen" }).click();
  await anna.page.getByRole("dialog").waitFor({ state: "detached" });
  expect(await authenticator.credentials()).toHaveLength(1);
  await authenticator.emptyBrowser(stage.named);
  await tryRecovering(anna);
  await anna.page.getByText("Dieser Passkey gilt hier nicht oder nicht mehr.").waitFor();
  await leaveAll([anna]);
});
