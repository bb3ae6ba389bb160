// A second device and a lost one, as people meet them: two browser profiles of the same person, against the real runtime.

import { expect, test } from "vitest";
import { BACKUP_WAITS } from "./support/chromium.ts";
import type { Person } from "./support/person.ts";
import { setStage } from "./support/stage.ts";

const stage = setStage("devices");
const { arrive, leaveAll } = stage;

/** Two people of a company who have talked. */
async function talk(organisation: string): Promise<{ anna: Person; ben: Person }> {
  const [anna, ben] = [await arrive(), await arrive()];
  await anna.signUp(stage.url, organisation, "Anna Sommer");
  await ben.join(await anna.invite("1 Person"), "Ben Aydın");
  await ben.start(["Anna Sommer"], "Backstube");
  await ben.send("Brot ist im Ofen");
  await anna.open("Backstube");
  await anna.sees("Brot ist im Ofen");
  return { anna, ben };
}

/** Opens "add a device" and returns the code it shows. */
async function showCode({ page }: Person): Promise<string> {
  await page.getByRole("button", { name: "Einstellungen" }).click();
  await page.getByRole("button", { name: "Gerät hinzufügen" }).click();
  await page.getByText(/Gilt noch \d+:\d\d/).waitFor();
  await page.getByRole("img", { name: "QR-Code für das neue Gerät" }).waitFor();
  return (await page.locator(".link-code").textContent()) ?? "";
}

const digitsOf = ({ page }: Person): Promise<string | null> => page.locator(".digits").textContent();

/** A second browser of somebody, by a code and a yes. */
async function link(anna: Person): Promise<Person> {
  const code = await showCode(anna);
  const phone = await arrive();
  await phone.page.goto(stage.url);
  await phone.page.getByRole("button", { name: "Ich habe schon ein Gerät" }).click();
  await phone.page.getByLabel("Code des anderen Geräts").fill(code.toLowerCase().replaceAll("-", " "));
  await phone.page.getByRole("button", { name: "Weiter" }).click();
  await phone.page.getByRole("heading", { name: "Ziffern vergleichen" }).waitFor();
  await anna.page.getByText(/möchte dazukommen/).waitFor();
  expect(await digitsOf(phone)).toBe(await digitsOf(anna));
  await anna.page.getByRole("button", { name: "Ja, hinzufügen" }).click();
  await anna.page.getByText(/gehört jetzt zu Ihren Geräten/).waitFor();
  await anna.page.getByRole("button", { name: "Fertig" }).click();
  return phone;
}

test("G8: a code, the same digits on both screens, and the second browser has everything and answers", async () => {
  const { anna, ben } = await talk("Bäckerei Sommer");
  const phone = await link(anna);
  await phone.open("Backstube");
  await phone.sees("Brot ist im Ofen");
  await phone.send("Ich komme vom Telefon aus");
  await ben.sees("Ich komme vom Telefon aus");
  await anna.page.getByText("Zuletzt verwendet").waitFor();
  await anna.page
    .getByRole("button", { name: /umbenennen$/ })
    .last()
    .click();
  await anna.page.getByLabel("Name des Geräts").fill("Tablet in der Backstube");
  await anna.page.getByRole("button", { name: "Speichern" }).click();
  await anna.page.getByText("Tablet in der Backstube", { exact: true }).waitFor();
  await leaveAll([anna, ben, phone]);
});

test("U23, G27: two browsers of one member agree on what was read, pinned and muted, and each keeps its own draft", async () => {
  const { anna, ben } = await talk("Konditorei Vogt");
  const phone = await link(anna);
  await phone.open("Backstube");
  await phone.sees("Brot ist im Ofen");
  const list = ({ page }: Person) => page.getByRole("navigation", { name: "Unterhaltungen" });
  const entry = (person: Person) =>
    list(person)
      .getByRole("link", { name: /^Backstube|Backstube/ })
      .first();
  await phone.page.getByRole("button", { name: "Anheften und Hinweise" }).click();
  await phone.page.getByLabel("Oben in der Liste anheften").check();
  await phone.page.getByLabel("Für 8 Stunden").click();
  await entry(anna).getByRole("img", { name: "Angeheftet" }).waitFor({ timeout: 30_000 });
  await entry(anna).getByRole("img", { name: "Stummgeschaltet" }).waitFor();

  // Both look elsewhere: what is new is counted, but not in the title while muted
  await phone.page.getByRole("button", { name: "Einstellungen" }).click();
  await ben.send("Wer holt das Mehl?");
  for (const person of [anna, phone]) await entry(person).getByText("1 ungelesene Nachricht").waitFor();
  expect(await anna.page.title()).toBe("Kuvert");
  await anna.open("Backstube");
  await anna.sees("Wer holt das Mehl?");
  await entry(phone).getByText("1 ungelesene Nachricht").waitFor({ state: "detached", timeout: 30_000 });

  await anna.page.getByRole("button", { name: "Anheften und Hinweise" }).click();
  await anna.page.getByLabel("Aus", { exact: true }).check();
  await entry(phone).getByRole("img", { name: "Stummgeschaltet" }).waitFor({ state: "detached", timeout: 30_000 });

  await phone.open("Backstube");
  const field = ({ page }: Person) => page.getByRole("textbox", { name: /^Nachricht an/ });
  await field(phone).fill("Ich könnte um");
  const reloaded = async (): Promise<string> => {
    await phone.page.reload();
    await field(phone).waitFor();
    const kept = await field(phone).inputValue();
    // The first reload may have come before the draft was kept
    if (kept === "") await field(phone).fill("Ich könnte um");
    return kept;
  };
  await expect.poll(reloaded, { timeout: 30_000, interval: 1_000 }).toBe("Ich könnte um");
  expect(await field(anna).inputValue()).toBe("");
  await field(phone).press("Enter");
  await ben.sees("Ich könnte um");
  await leaveAll([anna, ben, phone]);
});

test("U24: an admin signs a member's device out from a conversation; it is shut out at once and says so", async () => {
  const { anna, ben } = await talk("Gärtnerei Moos");
  await anna.page.getByRole("button", { name: "Personen" }).click();
  await anna.page.getByRole("button", { name: "Geräte von Ben Aydın" }).click();
  const devices = anna.page.getByRole("dialog", { name: "Geräte von Ben Aydın" });
  await devices.getByRole("img", { name: "Computer" }).waitFor();
  await devices.getByRole("button", { name: "Abmelden" }).click();
  await anna.page
    .getByRole("dialog", { name: /abmelden\?$/ })
    .getByRole("button", { name: "Abmelden" })
    .click();
  await devices.getByText("Abgemeldet").waitFor();
  await ben.page.getByText("Dieses Gerät wurde abgemeldet").first().waitFor();
  // What was under way when it was out
  ben.forgive(403);
  await leaveAll([anna, ben]);
});

test("G9: the address of the QR code opens the digits by itself; a no on the first device lets nobody in", async () => {
  const anna = await arrive();
  await anna.signUp(stage.url, "Imkerei Holm", "Anna Holm");
  const code = await showCode(anna);
  const phone = await arrive();
  await phone.page.goto(`${stage.url}/link#${code}`);
  await phone.page.getByRole("heading", { name: "Ziffern vergleichen" }).waitFor();
  expect(phone.page.url()).toBe(`${stage.url}/link`);
  await anna.page.getByRole("button", { name: "Nein" }).click();
  await anna.page.getByText("Das Gerät wurde nicht hinzugefügt.").waitFor();
  await phone.page.getByText("Dieser Code gilt nicht mehr").waitFor();
  phone.forgive(404);
  await leaveAll([anna, phone]);
});

test("S38: a page that is loaded anew before the yes shows the same digits, and is in afterwards", async () => {
  const { anna, ben } = await talk("Backhaus Reimann");
  const code = await showCode(anna);
  const phone = await arrive();
  await phone.page.goto(`${stage.url}/link#${code}`);
  await phone.page.locator(".digits").waitFor();
  const digits = await digitsOf(phone);
  for (const path of ["/link", "/"]) {
    await phone.page.goto(stage.url + path);
    await phone.page.locator(".digits").waitFor();
    expect(await digitsOf(phone)).toBe(digits);
  }
  await anna.page.getByRole("button", { name: "Ja, hinzufügen" }).click();
  await phone.open("Backstube");
  await phone.sees("Brot ist im Ofen");
  await leaveAll([anna, ben, phone]);
});

test("G10: the words are asked for until three were entered again, and bring everything back into an empty browser", {
  timeout: 240_000,
}, async () => {
  const { anna, ben } = await talk("Mühle Kern");
  await anna.page.getByText("Damit nichts verloren geht").waitFor();
  await anna.page.getByRole("button", { name: "Wörter aufschreiben" }).click();
  const sheet = anna.page.getByRole("dialog", { name: "Ihre 24 Wörter" });
  await sheet.getByRole("img", { name: "QR-Code der 24 Wörter" }).waitFor();
  const words = await sheet.locator(".words li").allTextContents();
  expect(words).toHaveLength(24);
  await sheet.getByRole("button", { name: "Aufgeschrieben" }).click();
  await sheet.getByRole("textbox").first().waitFor();
  for (const field of await sheet.getByRole("textbox").all()) await field.fill("falsch");
  await sheet.getByRole("button", { name: "Prüfen" }).click();
  await sheet.getByText("Das stimmt nicht mit Ihren Wörtern überein.").waitFor();
  for (const label of await sheet.locator("label").allTextContents()) {
    const place = Number(/\d+/.exec(label)?.[0]);
    await sheet.getByLabel(label, { exact: true }).fill(words[place - 1] ?? "");
  }
  await sheet.getByRole("button", { name: "Prüfen" }).click();
  await sheet.waitFor({ state: "detached" });
  await anna.page.getByText("Damit nichts verloren geht").waitFor({ state: "detached" });
  await anna.page.getByRole("button", { name: "Einstellungen" }).click();
  await anna.page.getByText("Die verschlüsselte Sicherung ist aktuell.").waitFor({ timeout: BACKUP_WAITS });
  await anna.context.close();

  const again = await arrive();
  await again.page.goto(stage.url);
  await again.page.getByRole("button", { name: "Mit Wiederherstellungswörtern" }).click();
  await again.page.getByLabel("Ihre 24 Wörter").fill(words.slice(1).join(" "));
  await again.page.getByRole("button", { name: "Wiederherstellen", exact: true }).click();
  await again.page.getByText("Eines der Wörter stimmt nicht").waitFor();
  await again.page.getByLabel("Ihre 24 Wörter").fill(words.map((word, index) => `${index + 1}. ${word}`).join("\n"));
  await again.page.getByRole("button", { name: "Wiederherstellen", exact: true }).click();
  await again.page.getByRole("heading", { name: "Ihre Geräte" }).waitFor();
  await again.open("Backstube");
  await again.sees("Brot ist im Ofen");
  await ben.send("Bist du wieder da?");
  await again.sees("Bist du wieder da?");
  await again.send("Ja!");
  await ben.sees("Ja!");
  await leaveAll([again, ben]);
});

test("G12: two people compare their safety number and mark it as compared", async () => {
  const { anna, ben } = await talk("Kanzlei Lot");
  const numbers: string[] = [];
  for (const [person, other] of [
    [anna, "Ben Aydın"],
    [ben, "Anna Sommer"],
  ] as const) {
    await person.page.getByRole("button", { name: "Personen" }).click();
    await person.page.getByRole("button", { name: `Sicherheitsnummer mit ${other}` }).click();
    await person.page.getByText(/Bekannt seit/).waitFor();
    numbers.push((await person.page.locator(".safety-number").textContent()) ?? "");
  }
  expect(numbers[0]).toMatch(/^\d{60}$/);
  expect(numbers[1]).toBe(numbers[0]);
  await anna.page.getByRole("button", { name: "Die Ziffern sind gleich" }).click();
  await anna.page.getByText(/Verglichen am/).waitFor();
  await anna.page.getByRole("button", { name: "Nicht mehr als verglichen führen" }).click();
  await anna.page.getByText(/Bekannt seit/).waitFor();
  await leaveAll([anna, ben]);
});
