// A browser that is killed with -9 at the worst moments, in Chromium against the real runtime: between sealing and sending, before the server
// has what was sent, between receiving and storing, and between storing and saying so. Its wire is listened to, before and after.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { toBase64url, toHex } from "../../schemas/bytes.ts";
import { ClientFrame, decodeFrame } from "../../schemas/frames.ts";
import type { ConversationId } from "../../schemas/ids.ts";
import { type Server, serve } from "../../scripts/server.ts";
import { Nonces } from "../support/nonces.ts";
import { type Heard, type Left, WireTap } from "../support/wire-tap.ts";
import { closeProfiles, launch, openProfile } from "./support/chromium.ts";
import { OwnChromium } from "./support/own-chromium.ts";
import { Person } from "./support/person.ts";
import { layWire, type Wire } from "./support/wire.ts";

let tap: WireTap;
/** What is sent gets no further than the wire. */
let isHeld = false;
/** The last seq that Anna has said to have stored, by the address of the socket. */
const confirmed = new Map<string, number>();

let folder: string;
let server: Server;
let browser: Browser;
let wire: Wire;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "kuvert-killed-"));
  server = await serve({ port: 0, state: join(folder, "server"), requestsPerMinute: 10_000, quiet: true });
  browser = await launch();
});
beforeEach(async () => {
  tap = new WireTap();
  confirmed.clear();
  const tampering = tap.tampering({
    outgoing: (frame, url) => {
      if (frame.type === "confirm") confirmed.set(url, frame.seq);
      return isHeld && frame.type === "send" ? [] : [frame];
    },
  });
  wire = await layWire(server.url, tampering);
});
afterEach(async () => {
  await closeProfiles(browser);
  await wire?.stop();
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

/** Anna's browser can be killed, and everything it says and hears passes the wire; Ben's is like any other. */
class Pair {
  readonly #profile: string;
  #chromium: OwnChromium;
  anna: Person;
  readonly ben: Person;

  private constructor(profile: string, { chromium, anna, ben }: { chromium: OwnChromium; anna: Person; ben: Person }) {
    this.#profile = profile;
    this.#chromium = chromium;
    this.anna = anna;
    this.ben = ben;
  }

  /** Two people in one conversation who have talked. */
  static async meet(): Promise<Pair> {
    isHeld = false;
    const profile = mkdtempSync(join(folder, "anna-"));
    const chromium = await OwnChromium.start(profile);
    const [anna, ben] = [await Person.at(chromium.context), await Person.at(await openProfile(browser))];
    await anna.signUp(wire.url, "Bäckerei Sommer", "Anna Sommer");
    await ben.join((await anna.invite("1 Person")).replace(wire.url, server.url), "Ben Aydın");
    await anna.start(["Ben Aydın"], "Backstube");
    await anna.send("Guten Morgen");
    await ben.open("Backstube");
    await ben.sees("Guten Morgen");
    await ben.send("Guten Morgen auch");
    await anna.sees("Guten Morgen auch");
    return new Pair(profile, { chromium, anna, ben });
  }

  /** Kills Anna's browser, and opens it again over the same profile. */
  async die(): Promise<void> {
    await this.#chromium.kill();
    isHeld = false;
    this.#chromium = await OwnChromium.start(this.#profile);
    this.anna = await Person.at(this.#chromium.context);
    await this.anna.page.goto(wire.url);
    await this.anna.open("Backstube");
  }

  /** The id of the conversation. */
  get id(): ConversationId {
    return new URL(this.anna.page.url()).pathname.split("/")[2] as ConversationId;
  }

  /** Both have this line once, and go on talking: what was to come twice would have come before the answer. */
  async bothHave(text: string): Promise<void> {
    for (const person of [this.anna, this.ben]) await person.sees(text);
    const [said, answer] = [`Nach „${text}“`, `Ja, nach „${text}“`];
    await this.anna.send(said);
    await this.ben.sees(said);
    await this.ben.send(answer);
    await this.anna.sees(answer);
    for (const person of [this.anna, this.ben]) {
      for (const line of [text, said, answer]) expect(await person.line(line).count(), line).toBe(1);
    }
  }

  async leave(): Promise<void> {
    await this.#chromium.kill();
    await this.ben.context.close();
  }
}

/** Runs in the engine's worker: once it is about to send a frame of this type, it says so, with the frame, and does nothing ever again. */
function haltAtFrame(type: string): void {
  const { send } = WebSocket.prototype;
  WebSocket.prototype.send = function (data) {
    const name = `type${String.fromCharCode(0x60 + type.length)}${type}`;
    if (typeof data !== "string" && new TextDecoder("latin1").decode(data as Uint8Array).includes(name)) {
      const call = new XMLHttpRequest();
      call.open("POST", "/halted", false);
      call.send(data as Uint8Array<ArrayBuffer>);
    }
    send.call(this, data);
  };
}

/** The same, once it is about to write into its database. */
function haltAtWrite(): void {
  const { transaction } = IDBDatabase.prototype;
  IDBDatabase.prototype.transaction = function (tables, mode, options) {
    if (mode === "readwrite") {
      const call = new XMLHttpRequest();
      call.open("POST", "/halted", false);
      call.send();
    }
    return transaction.call(this, tables, mode, options);
  };
}

/** Arms a page's engine; `halted` resolves when it has halted, with what it was about to send. */
async function arm(page: Page, halt: typeof haltAtFrame | typeof haltAtWrite, type = "") {
  const { promise, resolve } = Promise.withResolvers<Buffer>();
  await page.route("**/halted", (route) => resolve(route.request().postDataBuffer() ?? Buffer.of()));
  const [engine, ...others] = page.workers();
  if (engine === undefined || others.length > 0) throw new Error("a page has one worker");
  await engine.evaluate(halt, type);
  return { halted: promise };
}

/** The bytes of everything with this id. */
const bytesOf = (all: readonly (Left | Heard)[], id: string): string[] =>
  all.flatMap((one) => (one.id === id ? [toHex(one.bytes)] : []));

/** Everything a person's device holds of its groups. */
async function groupsOf(person: Person) {
  const { rows } = await person.databases();
  return rows.flatMap(({ table, key, value }) =>
    table === "groups" ? [{ table: "groups" as const, key, value: Buffer.from(value, "latin1") }] : [],
  );
}

test("C1, C2: killed between sealing and sending, or before the server has it, a browser sends the same bytes when it is back: stored once, seen once, and no key is used twice", async () => {
  const pair = await Pair.meet();
  const nonces = new Nonces();
  nonces.note(await groupsOf(pair.anna));

  const { halted } = await arm(pair.anna.page, haltAtFrame, "send");
  await pair.anna.send("Versiegelt");
  const sealed = decodeFrame(ClientFrame, await halted);
  if (sealed?.type !== "send") throw new Error("halted at something else");
  const id = toBase64url(sealed.id);
  const conversation = pair.id;
  expect(bytesOf(tap.left, id)).toEqual([]);
  await pair.die();
  await pair.bothHave("Versiegelt");
  expect(new Set(bytesOf(tap.left, id))).toEqual(new Set([toHex(sealed.bytes)]));
  expect(bytesOf(tap.heard(conversation), id)).toEqual([toHex(sealed.bytes)]);

  isHeld = true;
  const before = tap.left.length;
  await pair.anna.send("Unterwegs");
  await expect.poll(() => tap.left.length).toBe(before + 1);
  const lost = tap.left.at(-1) as Left;
  await pair.die();
  await pair.bothHave("Unterwegs");
  const sent = bytesOf(tap.left, lost.id);
  expect(sent.length).toBeGreaterThan(1);
  expect(new Set(sent)).toEqual(new Set([toHex(lost.bytes)]));
  expect(bytesOf(tap.heard(conversation), lost.id)).toEqual([toHex(lost.bytes)]);

  nonces.note(await groupsOf(pair.anna));
  const all = [...tap.left, { conversation, id, bytes: sealed.bytes }];
  expect(await nonces.judge(all)).toEqual({ faults: [], keys: new Set(all.map((one) => one.id)).size });
  expect(tap.contradictions).toEqual([]);
  await pair.leave();
});

test("C5: killed between receiving and storing, or between storing and saying so, a browser has what was said once when it is back", async () => {
  const pair = await Pair.meet();
  const conversation = pair.id;
  const newest = () => tap.heard(conversation).at(-1)?.seq ?? 0;
  const stored = () => confirmed.get(`${server.url}/api/conversations/${conversation}/socket`);

  await expect.poll(stored).toBe(newest());
  const receiving = await arm(pair.anna.page, haltAtWrite);
  let before = newest();
  await pair.ben.send("Angekommen");
  await receiving.halted;
  await expect.poll(newest).toBe(before + 1);
  expect(stored()).toBe(before);
  await pair.die();
  await pair.bothHave("Angekommen");

  await expect.poll(stored).toBe(newest());
  const storing = await arm(pair.anna.page, haltAtFrame, "confirm");
  before = newest();
  await pair.ben.send("Abgelegt");
  await storing.halted;
  await expect.poll(newest).toBe(before + 1);
  expect(stored()).toBe(before);
  await pair.die();
  await pair.bothHave("Abgelegt");
  expect(tap.contradictions).toEqual([]);
  await pair.leave();
});
