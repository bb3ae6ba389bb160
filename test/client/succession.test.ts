// A device that comes back to a conversation that was begun anew while it was away: real groups, the real ledger, arrivals and entrance over a store
// in memory, with the log handed to them as its socket would and a clock that only the test moves.

import { beforeEach, describe, expect, test } from "vitest";
import { Arrivals } from "../../client/engine/arrivals.ts";
import { blankRecord } from "../../client/engine/blank.ts";
import { enter } from "../../client/engine/entrance.ts";
import { beginAnew } from "../../client/engine/group/begin.ts";
import { confirmPending } from "../../client/engine/group/commit.ts";
import { seal } from "../../client/engine/group/group.ts";
import type { OwnKeyPackage } from "../../client/engine/group/key-packages.ts";
import type { Context, Group } from "../../client/engine/group/state.ts";
import { KeyStock } from "../../client/engine/key-stock.ts";
import { Ledger } from "../../client/engine/ledger.ts";
import type { Line } from "../../client/engine/line.ts";
import { decodeRecord, encodeRecord, type MessageRecord } from "../../client/engine/records.ts";
import type { Store } from "../../client/engine/store.ts";
import type { Surroundings } from "../../client/engine/surroundings.ts";
import { randomBytes } from "../../schemas/bytes.ts";
import { chain, digestOf, GENESIS } from "../../schemas/chain.ts";
import { encodeContent } from "../../schemas/content.ts";
import type { Envelope, EnvelopesFrame, ServerFrame, WelcomeItem } from "../../schemas/frames.ts";
import type { ConversationId } from "../../schemas/ids.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { memoryStore } from "../support/memory-store.ts";
import { addition, crowd, gather, keyPackageOf, NOW } from "./group/people.ts";

/** What Anna says and does while Bert is away, as the server keeps it. */
class Log {
  readonly conversation: ConversationId;
  readonly welcomes: WelcomeItem[] = [];
  readonly #envelopes: { envelope: Envelope; hash: Uint8Array<ArrayBuffer> }[] = [];
  readonly anna: Context;
  #group: Group;

  constructor(anna: Context, group: Group) {
    this.conversation = group.conversation;
    this.anna = anna;
    this.#group = group;
  }

  get head(): number {
    return this.#envelopes.length;
  }

  async say(text: string): Promise<void> {
    const seen = { seq: 0, hash: GENESIS };
    const keys = { size: 0, root: new Uint8Array(32) };
    const content = encodeContent({ type: "text", text, expiresIn: null, sentAt: NOW, seen, keys });
    const { bytes, group } = await seal(this.#group, content);
    this.#group = group;
    this.#append(bytes);
  }

  /** Begins the next generation and welcomes a device by this key package, or nobody. */
  async beginAnew(invited?: { context: Context; keyPackage: OwnKeyPackage }): Promise<void> {
    const { conversation, generation } = this.#group;
    const add = invited === undefined ? [] : [addition(invited.context.me, invited.keyPackage)];
    const order = { context: this.anna, conversation, generation: generation + 1, add, now: NOW };
    const made = await beginAnew(order);
    if (made.kind !== "committed") throw new Error(made.reason);
    this.#group = confirmPending(made.group).group;
    const hash = this.#append(made.bundle.commit);
    const bytes = made.bundle.welcome?.bytes as Uint8Array<ArrayBuffer> | undefined;
    if (bytes !== undefined)
      this.welcomes.push({ n: generation + 1, conversation, seq: this.#envelopes.length, hash, bytes });
  }

  /** Everything after `after`, as one frame or as one for each envelope. */
  frames(after: number, size: "whole" | "single"): EnvelopesFrame[] {
    const rest = this.#envelopes.slice(after);
    const pages = size === "single" ? rest.map((one) => [one]) : [rest];
    return pages.map((page) => ({
      type: "envelopes",
      envelopes: page.map(({ envelope }) => envelope),
      hash: page.at(-1)?.hash ?? GENESIS,
      head: this.#envelopes.length,
      delivered: 0,
      now: NOW,
    }));
  }

  /** Where it stands. */
  get ready(): Omit<Extract<ServerFrame, { type: "ready" }>, "confirmed"> {
    const hash = this.#envelopes.at(-1)?.hash ?? GENESIS;
    const { generation, live } = this.#group;
    const head = { seq: this.head, hash, generation, epoch: live?.number ?? 0 };
    return { type: "ready", head, first: 1, delivered: 0, now: NOW };
  }

  #append(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    const seq = this.#envelopes.length + 1;
    const id = randomBytes(16);
    const hash = chain(this.#envelopes.at(-1)?.hash ?? GENESIS, seq, digestOf(id, bytes));
    const own = bytes.slice();
    this.#envelopes.push({ envelope: { id, seq, bytes: own, digest: null, acceptedAt: NOW, expiresAt: null }, hash });
    return hash;
  }
}

/** Bert's end of the conversation. */
class Bert {
  readonly context: Context;
  readonly clock = new ManualClock();
  readonly store: Store;
  readonly faults: unknown[] = [];
  readonly ledger: Ledger;
  readonly stock: KeyStock;
  readonly #log: Log;
  readonly #arrivals: Arrivals;
  /** What the server knows to be with him. */
  #confirmed = 0;
  /** How far he was told to ask the log from when his wait was over. */
  pulled: number | null = null;

  constructor(context: Context, log: Log, store = memoryStore()) {
    const { clock } = this;
    this.store = store;
    this.context = context;
    this.#log = log;
    const time = { now: () => NOW, toLocal: (at: number) => at };
    this.stock = new KeyStock({ store, me: context.me, time, api: null } as unknown as ConstructorParameters<
      typeof KeyStock
    >[0]);
    const nothing = () => undefined;
    const surroundings = {
      store,
      clock,
      time,
      context,
      careful: false,
      live: { timeline: nothing, message: nothing, changed: nothing },
      people: { save: () => nothing },
      siblings: { enter: nothing, settle: nothing },
      timers: { note: nothing, forget: nothing, arm: nothing },
      keys: { heard: nothing },
      policy: () => ({ defaultExpiry: null }),
      meet: nothing,
      keep: nothing,
      fault: (_: string, error: unknown) => this.faults.push(error),
    } as unknown as Surroundings;
    const members = [log.anna.me.member, context.me.member];
    const blank = blankRecord({ id: log.conversation, kind: "group", activeAt: NOW });
    const record = { ...blank, founded: true, state: "active", generation: 0, members } as const;
    this.ledger = new Ledger(surroundings, { record, intents: [] });
    const line = {
      live: true,
      pull: (after: number) => {
        this.pulled = after;
      },
      hold: nothing,
      more: nothing,
      confirm: (seq: number) => {
        this.#confirmed = Math.max(this.#confirmed, seq);
      },
      send: () => true,
      close: nothing,
    } as unknown as Line;
    this.#arrivals = new Arrivals(this.ledger, line);
  }

  /** What he had before he went: the group of the first generation. */
  async had(rows: readonly { key: string; value: Uint8Array }[]): Promise<void> {
    const prefix = `${this.#log.conversation}/0/`;
    await this.store.write(rows.map(({ key, value }) => ({ table: "groups", key: prefix + key, value })));
  }

  async keyPackage(lastResort = false): Promise<OwnKeyPackage> {
    const made = await keyPackageOf(this.context.me, lastResort);
    const { ref, privateRecord, expiresAt } = made;
    const value = encodeRecord({ privateRecord, expiresAt, lastResort });
    await this.store.write([{ table: "keypackages", key: ref, value }]);
    return made;
  }

  /** What a welcome comes to; then the socket is opened anew. */
  async welcomed(item: WelcomeItem | undefined) {
    if (item === undefined) throw new Error("no welcome");
    const entered = await this.ledger.turn(() => enter(this.ledger, { item, stock: this.stock, looked: true }));
    await this.ledger.turn(() => this.#arrivals.ready({ ...this.#log.ready, confirmed: this.#confirmed }));
    return entered;
  }

  /** Takes in what the log has and he has not, or so many frames of it. */
  async reads(size: "whole" | "single" = "whole", most = Number.POSITIVE_INFINITY): Promise<void> {
    for (const frame of this.#log.frames(this.ledger.record.cursor, size).slice(0, most))
      await this.ledger.turn(() => this.#arrivals.take([frame]));
  }

  /** Goes on with what another run has left in the store. */
  async wakes(): Promise<void> {
    const kept = await this.store.get("conversations", this.#log.conversation);
    if (kept !== undefined) this.ledger.record = decodeRecord(kept);
  }

  /** The next generation's welcome is waited for no longer. */
  async waits(): Promise<void> {
    this.pulled = null;
    this.clock.advance(5_000);
    await expect.poll(() => this.pulled).toBe(this.ledger.record.cursor);
    await this.reads();
  }

  async lines(): Promise<string[]> {
    const rows = await this.store.scan("messages", { prefix: `${this.#log.conversation}/` });
    return rows.map(({ value }) => {
      const { body } = decodeRecord<MessageRecord>(value);
      return body.kind === "text" ? body.text : `(${body.kind})`;
    });
  }

  /** The generations of which the store has anything. */
  async generations(): Promise<string[]> {
    const rows = await this.store.scan("groups", { prefix: `${this.#log.conversation}/` });
    return [...new Set(rows.map(({ key }) => key.split("/")[1] ?? ""))];
  }
}

let log: Log;
let bert: Bert;

beforeEach(async () => {
  const [anna, other] = await crowd(2);
  const { groups, rows } = await gather([anna, other]);
  log = new Log(anna, groups[0]);
  bert = new Bert(other, log);
  await bert.had(rows[1].list());
});

/** Anna says something in each of so many generations after the first, and Bert is welcomed to those named, or to all. */
async function talk(generations: number, isWelcomed: (generation: number) => boolean = () => true) {
  await log.say("0");
  for (let generation = 1; generation <= generations; generation++) {
    const invited = { context: bert.context, keyPackage: await bert.keyPackage() };
    await log.beginAnew(invited);
    if (!isWelcomed(generation)) log.welcomes.pop();
    await log.say(`${generation}`);
    await log.say(`${generation}!`);
  }
}

describe("E55: begun anew more than once while a device was away", () => {
  for (const size of ["whole", "single"] as const) {
    for (const [order, sorted] of [
      ["in order", (a: WelcomeItem, b: WelcomeItem) => a.seq - b.seq],
      ["the last first", (a: WelcomeItem, b: WelcomeItem) => b.seq - a.seq],
    ] as const) {
      test(`E55: each generation is read in its turn (welcomes ${order}, the log ${size})`, async () => {
        await talk(3);
        for (const item of log.welcomes.toSorted(sorted)) expect(await bert.welcomed(item)).toBe("in");
        expect(await bert.generations()).toEqual(["0", "1", "2", "3"]);
        await bert.reads(size);
        expect(await bert.lines()).toEqual([
          ...["0", "(renewed)", "1", "1!", "(renewed)", "2", "2!", "(renewed)", "3", "3!"],
        ]);
        expect(bert.ledger.record).toMatchObject({ cursor: log.head, generation: 3, lost: false, successors: [] });
        expect(await bert.generations()).toEqual(["3"]);
        expect(await bert.store.scan("keypackages")).toEqual([]);
        await log.say("weiter");
        await bert.reads();
        expect((await bert.lines()).at(-1)).toBe("weiter");
        expect(bert.faults).toEqual([]);
      });
    }
  }

  test("E55: also by a last resort that served for all of them", async () => {
    const keyPackage = await bert.keyPackage(true);
    await log.say("0");
    for (const text of ["1", "2"]) {
      await log.beginAnew({ context: bert.context, keyPackage });
      await log.say(text);
    }
    for (const item of log.welcomes) await bert.welcomed(item);
    await bert.reads();
    expect(await bert.lines()).toEqual(["0", "(renewed)", "1", "(renewed)", "2"]);
    expect((await bert.store.scan("keypackages")).map(({ key }) => key)).toEqual([keyPackage.ref]);
  });

  test("E55: whoever stops between two generations goes on from there", async () => {
    await talk(2);
    for (const item of log.welcomes) await bert.welcomed(item);
    await bert.reads("single", 3);
    const again = new Bert(bert.context, log, bert.store);
    await again.wakes();
    await again.reads();
    expect(await again.lines()).toEqual(["0", "(renewed)", "1", "1!", "(renewed)", "2", "2!"]);
    expect(await again.generations()).toEqual(["2"]);
  });

  test("E55: a welcome repeated, or to a generation that is over, changes nothing", async () => {
    await talk(2);
    for (const item of log.welcomes) await bert.welcomed(item);
    await bert.reads();
    const before = await bert.lines();
    for (const item of log.welcomes) expect(await bert.welcomed(item)).toBe("in");
    await bert.reads();
    expect(await bert.lines()).toEqual(before);
    expect(bert.ledger.record).toMatchObject({ cursor: log.head, generation: 2, lost: false });
  });
});

describe("E56: a generation that this device was never let into", () => {
  test("E56: one line says that something may be missing, and what comes after is read", async () => {
    await talk(2, (generation) => generation === 2);
    for (const item of log.welcomes) await bert.welcomed(item);
    await bert.reads();
    expect(await bert.lines()).toEqual(["0"]);
    await bert.waits();
    expect(await bert.lines()).toEqual(["0", "(missed)", "(renewed)", "2", "2!"]);
    expect(bert.ledger.record).toMatchObject({ generation: 2, lost: false, outside: null });
  });

  test("E56: one line also for several in a row", async () => {
    await talk(3, (generation) => generation === 3);
    for (const item of log.welcomes) await bert.welcomed(item);
    await bert.reads();
    await bert.waits();
    await bert.waits();
    expect(await bert.lines()).toEqual(["0", "(missed)", "(renewed)", "3", "3!"]);
  });

  test("E56: nothing is said to be missing where nothing was said", async () => {
    await log.say("0");
    await log.beginAnew();
    await log.beginAnew({ context: bert.context, keyPackage: await bert.keyPackage() });
    await log.say("2");
    for (const item of log.welcomes) await bert.welcomed(item);
    await bert.reads();
    expect(await bert.lines()).toEqual(["0", "(renewed)", "(renewed)", "2"]);
  });

  test("E56: a welcome that comes too late mends it: all is read, and nothing is said to be missing", async () => {
    await talk(2);
    const [late, next] = log.welcomes;
    await bert.reads();
    await bert.waits();
    expect(await bert.lines()).toEqual(["0", "(missed)"]);
    await bert.welcomed(late);
    await bert.welcomed(next);
    await bert.reads();
    expect(await bert.lines()).toEqual(["0", "(renewed)", "1", "1!", "(renewed)", "2", "2!"]);
    expect(bert.ledger.record).toMatchObject({ cursor: log.head, generation: 2, lost: false, outdated: false });
  });
});
