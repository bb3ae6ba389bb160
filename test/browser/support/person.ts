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

  /** Takes back what Chromium itself says of every answer with this status; any other complaint counts. */
  forgive(status: number): void {
    const others = this.complaints.filter((each) => !each.includes(`status of ${status} `));
    this.complaints.splice(0, this.complaints.length, ...others);
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

  /** How many values of this profile's databases hold a text: as they lie there, and as the client reads them. */
  async stored(text: string): Promise<{ readonly clear: number; readonly sealed: number }> {
    const { clear, rows } = await this.databases();
    const wanted = Buffer.from(text).toString("latin1");
    const count = (values: readonly string[]) => values.filter((value) => value.includes(wanted)).length;
    return { clear: count(clear), sealed: count(rows.map(({ value }) => value)) };
  }

  /** Everything in this profile's databases, bytes as Latin-1: as it lies there, and as it is once the seal is opened. */
  databases(): Promise<Databases> {
    return this.page.evaluate(readDatabases);
  }
}

export interface Databases {
  readonly clear: readonly string[];
  readonly rows: readonly { readonly table: string; readonly key: string; readonly value: string }[];
}

/** Runs in the page. Opens the seal as PROTOCOL.md describes it, with nothing of the client's own code. */
async function readDatabases(): Promise<Databases> {
  type Bytes = Uint8Array<ArrayBuffer>;
  interface Header {
    readonly platformKey: CryptoKey;
    readonly ways: readonly { readonly local: Bytes; readonly key: Bytes }[];
  }
  const utf8 = (text: string): Bytes => new TextEncoder().encode(text) as Bytes;
  const latin = (bytes: Uint8Array): string => Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  const settled = <Value>(request: IDBRequest<Value>): Promise<Value> =>
    new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  const textsOf = (value: unknown): string[] => {
    if (typeof value === "string") return [latin(utf8(value))];
    if (ArrayBuffer.isView(value)) return [latin(new Uint8Array(value.buffer, value.byteOffset, value.byteLength))];
    return typeof value === "object" && value !== null ? Object.values(value).flatMap(textsOf) : [];
  };
  const unseal = async (key: CryptoKey, place: string, sealed: Bytes): Promise<Bytes> => {
    const how = { name: "AES-GCM", iv: sealed.slice(0, 12), additionalData: utf8(place) };
    return new Uint8Array(await crypto.subtle.decrypt(how, key, sealed.slice(12)));
  };
  const toBase64url = (bytes: Bytes): string =>
    btoa(latin(bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const fromBase64url = (text: string): Bytes =>
    Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (each) => each.charCodeAt(0));
  const keyOf = async ({ platformKey, ways: [way] }: Header): Promise<CryptoKey> => {
    if (way === undefined) throw new Error("no way in");
    const local = await unseal(platformKey, "kuvert seal local 1", way.local);
    const body = JSON.stringify({ secret: toBase64url(local.slice(32)), verifier: null });
    const { share } = await (await fetch("/api/shares/open", { method: "POST", body })).json();
    const parts = Uint8Array.of(...fromBase64url(share), ...local.slice(0, 32));
    const material = await crypto.subtle.importKey("raw", parts, "HKDF", false, ["deriveKey"]);
    const how = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info: utf8("kuvert seal wrapping 1") };
    const aes = { name: "AES-GCM", length: 256 };
    const wrapping = await crypto.subtle.deriveKey(how, material, aes, false, ["decrypt"]);
    const bytes = await unseal(wrapping, "kuvert seal store key 1", way.key);
    return crypto.subtle.importKey("raw", bytes, "AES-GCM", false, ["decrypt"]);
  };
  const clear: string[] = [];
  const rows: { table: string; key: string; value: string }[] = [];
  for (const { name } of await indexedDB.databases()) {
    const database = await settled(indexedDB.open(name ?? ""));
    const all = (table: string) => settled(database.transaction(table).objectStore(table).getAll());
    const [header] = (await all("seal")) as Header[];
    const key = header && (await keyOf(header));
    for (const table of database.objectStoreNames) {
      for (const found of await all(table)) {
        clear.push(...textsOf(found));
        if (key === undefined || table === "seal" || found.key === undefined) continue;
        rows.push({ table, key: found.key, value: latin(await unseal(key, `${table} ${found.key}`, found.value)) });
      }
    }
    database.close();
  }
  return { clear, rows };
}
