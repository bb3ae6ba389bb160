// The app lock by a passkey as people meet it, with Chromium's virtual authenticator against the real runtime.

import type { Locator } from "playwright-core";
import { expect, test } from "vitest";
import { Authenticator } from "./support/authenticator.ts";
import { picture } from "./support/chromium.ts";
import type { Person } from "./support/person.ts";
import { setStage } from "./support/stage.ts";

const stage = setStage("lock-passkey");

/** Somebody who has just signed up and looks at the settings. */
async function arrive(name: string): Promise<Person> {
  const person = await stage.arrive();
  await person.signUp(stage.named, "Schlosserei Kern", name);
  await person.page.getByRole("button", { name: "Einstellungen" }).click();
  return person;
}

/** Opens a dialog of the lock and goes on with a passkey in it. */
async function choosePasskey({ page }: Person, name: string): Promise<Locator> {
  await page.getByRole("button", { name }).click();
  const dialog = page.getByRole("dialog", { name });
  await dialog.getByRole("button", { name: "Passkey", exact: true }).click();
  await dialog.getByRole("button", { name }).click();
  return dialog;
}

async function lockByPasskey(person: Person): Promise<void> {
  await (await choosePasskey(person, "Sperre einschalten")).waitFor({ state: "detached" });
}

const isLocked = ({ page }: Person): Promise<void> =>
  page.getByRole("heading", { name: "Kuvert ist gesperrt" }).waitFor();
const isOpen = ({ page }: Person): Promise<void> => page.getByRole("heading", { name: "Einstellungen" }).waitFor();
const unlock = ({ page }: Person): Promise<void> =>
  page.getByRole("button", { name: "Mit Passkey entsperren" }).click();

/** The next time the browser asks, a person calls it off. */
function callOffOnce(): void {
  const get = CredentialsContainer.prototype.get;
  CredentialsContainer.prototype.get = async () => {
    CredentialsContainer.prototype.get = get;
    throw new DOMException("called off", "NotAllowedError");
  };
}

/** The next answer carries what another authenticator, or the same over another way, would make of the text. */
function giveAnotherSecretOnce(): void {
  const results = PublicKeyCredential.prototype.getClientExtensionResults;
  PublicKeyCredential.prototype.getClientExtensionResults = () => {
    PublicKeyCredential.prototype.getClientExtensionResults = results;
    return { prf: { results: { first: new Uint8Array(32).buffer } } };
  };
}

test("U54: a passkey turns the lock on, opens it, is replaced and turns it off; what does not answer is no try", async () => {
  const anna = await arrive("Anna Kern");
  const authenticator = await Authenticator.at(anna.page, { hasPrf: true });
  await lockByPasskey(anna);
  const made = await authenticator.credentials();
  expect(made).toHaveLength(1);
  await anna.page.getByRole("button", { name: "Jetzt sperren" }).first().click();
  await isLocked(anna);
  await picture(anna.page, "lock-passkey");

  const tries: string[] = [];
  anna.page.on("request", (request) => request.url().endsWith("/api/shares/open") && tries.push(request.url()));
  await anna.page.evaluate(callOffOnce);
  await unlock(anna);
  await anna.page.getByText("Das zählt nicht als Versuch.").waitFor();
  expect(tries).toEqual([]);
  await picture(anna.page, "lock-passkey-off");
  await unlock(anna);
  await isOpen(anna);

  await (await choosePasskey(anna, "Passphrase oder Passkey ändern")).waitFor({ state: "detached" });
  const next = await authenticator.credentials();
  expect(next).toHaveLength(1);
  expect(next[0]?.credentialId).not.toBe(made[0]?.credentialId);
  await anna.page.reload();
  await isLocked(anna);
  await unlock(anna);
  await isOpen(anna);

  await anna.page.getByRole("button", { name: "Sperre ausschalten" }).click();
  const dialog = anna.page.getByRole("dialog", { name: "Sperre ausschalten" });
  await dialog.getByText("Zuerst fragt Ihr Browser nach dem bisherigen Passkey.").waitFor();
  await dialog.getByRole("button", { name: "Sperre ausschalten" }).click();
  await dialog.waitFor({ state: "detached" });
  expect(await authenticator.credentials()).toEqual([]);
  await anna.page.reload();
  await isOpen(anna);
  expect(anna.complaints).toEqual([]);
  await anna.context.close();
});

test("U54: an authenticator without PRF says so, and the passphrase is offered; nothing of it stays", async () => {
  const ben = await arrive("Ben Kern");
  const plain = await Authenticator.at(ben.page, { hasPrf: false });
  const dialog = await choosePasskey(ben, "Sperre einschalten");
  await dialog.getByText(/es fehlt die Erweiterung PRF\) und wurde nicht verwendet/).waitFor();
  await dialog.getByLabel("Neue Passphrase").waitFor();
  expect(await plain.credentials()).toEqual([]);
  await ben.page.reload();
  await ben.page.getByRole("button", { name: "Sperre einschalten" }).waitFor();
  expect(ben.complaints).toEqual([]);
  await ben.context.close();
});

test("U54: another secret than the lock's is counted; whose passkey is gone begins anew with nothing left", async () => {
  const dora = await arrive("Dora Kern");
  const authenticator = await Authenticator.at(dora.page, { hasPrf: true });
  await lockByPasskey(dora);
  await dora.page.reload();
  await isLocked(dora);
  await dora.page.evaluate(giveAnotherSecretOnce);
  await unlock(dora);
  await dora.page.getByText("9 Versuche bleiben").waitFor();
  await authenticator.clear();
  await unlock(dora);
  await dora.page.getByText("Das zählt nicht als Versuch.").waitFor();
  await dora.page.getByRole("button", { name: "Passkey nicht mehr da?" }).click();
  await dora.page.getByRole("dialog").getByRole("button", { name: "Daten löschen und neu beginnen" }).click();
  await dora.page.getByRole("heading", { name: "Unternehmen anmelden" }).waitFor();
  expect((await dora.databases()).rows).toEqual([]);
  await dora.context.close();
});
