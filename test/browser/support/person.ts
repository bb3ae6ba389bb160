// One person at a browser profile of their own: what people do with the client, in the words they see (German).

import type { BrowserContext, Locator, Page } from "playwright-core";
import { gatherComplaints } from "./chromium.ts";

export class Person {
  readonly context: BrowserContext;
  /** Everything this profile's pages and workers complained about. */
  readonly complaints: string[];
  page: Page;

  private constructor(context: BrowserContext, page: Page, complaints: string[]) {
    this.context = context;
    this.page = page;
    this.complaints = complaints;
  }

  static async at(context: BrowserContext): Promise<Person> {
    const complaints = gatherComplaints(context);
    return new Person(context, await context.newPage(), complaints);
  }

  async signUp(url: string, organisation: string, name: string): Promise<void> {
    await this.page.goto(url);
    await this.page.getByLabel("Name des Unternehmens").fill(organisation);
    await this.page.getByLabel("Ihr Name").fill(name);
    await this.page.getByRole("button", { name: "Anmelden", exact: true }).click();
    await this.page.getByRole("navigation", { name: "Unterhaltungen" }).waitFor();
  }

  async invite(uses: string): Promise<string> {
    await this.page.getByRole("button", { name: "Einstellungen" }).click();
    await this.page.getByLabel("Gilt für").selectOption(uses);
    await this.page.getByRole("button", { name: "Link erstellen" }).click();
    const link = await this.page.getByLabel("Einladungslink").inputValue();
    await this.page.getByRole("button", { name: "Zurück", exact: true }).click();
    return link;
  }

  async join(link: string, name: string): Promise<void> {
    await this.page.goto(link);
    await this.page.getByLabel("Ihr Name").fill(name);
    await this.page.getByRole("button", { name: "Beitreten" }).click();
    await this.page.getByRole("navigation", { name: "Unterhaltungen" }).waitFor();
  }

  async start(names: readonly string[], title?: string): Promise<void> {
    await this.page.getByRole("button", { name: "Neue Unterhaltung" }).first().click();
    const dialog = this.page.getByRole("dialog", { name: "Neue Unterhaltung" });
    for (const name of names) await dialog.getByLabel(name).check();
    if (title !== undefined) await dialog.getByLabel("Name der Unterhaltung").fill(title);
    await dialog.getByRole("button", { name: "Unterhaltung beginnen" }).click();
    await dialog.waitFor({ state: "detached" });
  }

  async open(title: string): Promise<void> {
    await this.page.getByRole("link", { name: new RegExp(`^${title}`) }).click();
    await this.page.getByRole("heading", { name: title }).waitFor();
  }

  /** `lifetime`: as the list of lifetimes names it. */
  async send(text: string, lifetime?: string): Promise<void> {
    if (lifetime !== undefined) await this.page.getByLabel("Lebensdauer dieser Nachricht").selectOption(lifetime);
    const field = this.page.getByRole("textbox", { name: /^Nachricht an/ });
    await field.fill(text);
    await field.press("Enter");
  }

  /** The bubble with this text. */
  line(text: string): Locator {
    return this.page.getByRole("listitem").filter({ has: this.page.getByText(text, { exact: true }) });
  }

  async sees(text: string): Promise<void> {
    await this.line(text).first().waitFor();
  }

  /** Waits until the own message with this text carries a state: "Gesendet" or "Zugestellt". */
  async sent(text: string, state: RegExp): Promise<void> {
    await this.line(text).getByRole("img", { name: state }).waitFor();
  }

  /** How often a text occurs in any value of any database of this profile. */
  stored(text: string): Promise<number> {
    return this.page.evaluate(countInDatabases, text);
  }
}

/** Runs in the page. Counts the records, of any shape, that hold the UTF-8 bytes of a text. */
async function countInDatabases(text: string): Promise<number> {
  const settled = <Value>(request: IDBRequest<Value>): Promise<Value> =>
    new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  const wanted = unescape(encodeURIComponent(text));
  const holds = (value: unknown): boolean => {
    if (typeof value === "string") return value.includes(text);
    if (ArrayBuffer.isView(value)) {
      const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
      return Array.from(bytes, (byte) => String.fromCharCode(byte))
        .join("")
        .includes(wanted);
    }
    return typeof value === "object" && value !== null && Object.values(value).some(holds);
  };
  let count = 0;
  for (const { name } of await indexedDB.databases()) {
    const database = await settled(indexedDB.open(name ?? ""));
    for (const table of database.objectStoreNames) {
      const values = await settled(database.transaction(table).objectStore(table).getAll());
      count += values.filter(holds).length;
    }
    database.close();
  }
  return count;
}
