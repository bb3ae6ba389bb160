// Owns all conversations of a profile: which there are, which have a socket, how new ones come in. What happens in one is its own.

import type { Nudge, WelcomeItem } from "../../schemas/frames.ts";
import type { ConversationId, MemberId } from "../../schemas/ids.ts";
import { isRefusal } from "../../schemas/refusal.ts";
import { blankRecord } from "./blank.ts";
import { Conversation } from "./conversation.ts";
import { type Entered, enter } from "./entrance.ts";
import { createGroup } from "./group/group.ts";
import type { KeyStock } from "./key-stock.ts";
import { Ledger } from "./ledger.ts";
import { UNMARKED } from "./marks.ts";
import { type ConversationRecord, decodeRecord, type IntentRecord, type Wish } from "./records.ts";
import { storeRefusal } from "./store.ts";
import type { Surroundings } from "./surroundings.ts";

/** Conversations that keep a socket although nothing is to be done: those looked at or active last. */
const KEPT_OPEN = 6;
/** Sockets opened at the same time for what is to be fetched or sent in the background. */
const OPENED_AT_ONCE = 8;
/** The mailbox waits this long for the key log to be read on behalf of a welcome, in ms; other welcomes wait no longer. */
const LOG_WITHIN = 3_000;
/** A welcome is given this long to come before a device lets itself in, in ms. */
const WELCOME_WITHIN = 5_000;

/** The conversations of a profile. */
export class Conversations {
  readonly #surroundings: Surroundings;
  readonly #stock: KeyStock;
  /** Told after every look at what there is to do. */
  readonly #reviewed: () => void;
  readonly #all = new Map<ConversationId, Conversation>();
  /** Looked at or active last, newest first. */
  #recent: ConversationId[] = [];
  /** Those this member is in, without a welcome for this device yet. */
  readonly #awaited = new Set<ConversationId>();
  #reviewing = false;

  constructor(surroundings: Surroundings, { stock, reviewed }: { stock: KeyStock; reviewed: () => void }) {
    this.#surroundings = surroundings;
    this.#stock = stock;
    this.#reviewed = reviewed;
  }

  /** Reads all conversations as they were last saved. */
  async load(): Promise<void> {
    const { store } = this.#surroundings;
    const [records, intents] = await Promise.all([store.scan("conversations"), store.scan("intents")]);
    const waiting = Map.groupBy(
      intents.map(({ value }) => decodeRecord<IntentRecord>(value)),
      ({ conversation }) => conversation,
    );
    const known = records.map(({ value }) => ({ ...UNMARKED, ...decodeRecord<ConversationRecord>(value) }));
    const opened = await Promise.all(known.map((record) => this.#open(record, waiting.get(record.id) ?? [])));
    for (const conversation of opened) this.#all.set(conversation.ledger.id, conversation);
    this.#recent = this.shown
      .toSorted((a, b) => b.ledger.record.activeAt - a.ledger.record.activeAt)
      .slice(0, KEPT_OPEN)
      .map(({ ledger }) => ledger.id);
  }

  get all(): readonly Conversation[] {
    return [...this.#all.values()];
  }

  /** Those that people know of. */
  get shown(): readonly Conversation[] {
    return this.all.filter(({ ledger }) => ledger.record.kind !== "self");
  }

  find(id: ConversationId): Conversation | undefined {
    return this.#all.get(id);
  }

  /** Whether nothing is on its way in or out anywhere. */
  get settled(): boolean {
    return this.#awaited.size === 0 && this.all.every(({ settled }) => settled);
  }

  /** Founds a conversation. @throws {Refusal} any — the server will not have it; then there is none */
  async create({
    id,
    title,
    members,
  }: {
    id: ConversationId;
    title: string | null;
    members: readonly MemberId[];
  }): Promise<void> {
    const kind = title === null && members.length === 1 ? "direct" : "group";
    const expiresIn = this.#surroundings.policy().defaultExpiry;
    const conversation = await this.#begin({ ...this.#blank(id), kind, title, expiresIn }, [
      { kind: "create", members },
      { kind: "settings", title, expiresIn },
    ]);
    this.touch(id);
    const founding = conversation.ledger.outbox.open.find(({ wish }) => wish?.kind === "create");
    if (founding === undefined) return;
    try {
      await conversation.consent.ask(founding);
    } catch (error) {
      await this.#drop(conversation);
      throw error;
    }
  }

  /** Founds the conversation of the member with itself; when another of its devices was first, this one is let in or lets itself in. @throws {Refusal} any */
  async meet(id: ConversationId): Promise<void> {
    const { api } = this.#surroundings;
    const isFirst = await api.found({ id, members: [] }).then(() => true, unlessFounded);
    if (this.#all.has(id)) return;
    if (!isFirst) return this.#await(id);
    await this.#begin(this.#blank(id), [{ kind: "create", members: [] }]);
    this.review();
  }

  /** Begins a conversation that nobody has heard of yet, with what is to be done first. @throws {Refusal} unavailable — the store could not take it; then there is none */
  async #begin(blanked: ConversationRecord, wishes: readonly [Extract<Wish, { kind: "create" }>, ...Wish[]]) {
    const { context, time } = this.#surroundings;
    const now = time.now();
    const { member: me } = context.me;
    const members = [me, ...wishes[0].members];
    const record = { ...blanked, createdBy: me, members, introduced: true, state: "active" } as const;
    const step = await createGroup({ context, conversation: record.id, generation: 0, now });
    const conversation = await this.#add(record, []);
    const { ledger } = conversation;
    const intents = wishes.map((wish) => ledger.outbox.compose(wish, now));
    const isKept = await ledger.turn(async () => {
      const draft = ledger.draft();
      draft.step(step);
      draft.set({ generation: step.group.generation });
      draft.remark({ kind: "created" }, { from: me, at: now });
      for (const intent of intents) {
        draft.intend(intent);
        draft.afterwards(() => ledger.outbox.put(intent));
      }
      await ledger.save(draft);
      return true;
    });
    if (isKept === true) return conversation;
    this.#forget(conversation);
    throw storeRefusal("unavailable", "not kept");
  }

  /** Somebody looks at this conversation, or it has just been active. */
  touch(id: ConversationId): void {
    if (this.#recent[0] !== id && id !== this.#surroundings.siblings.self)
      this.#recent = [id, ...this.#recent.filter((other) => other !== id)].slice(0, KEPT_OPEN);
    this.review();
  }

  /** Something is new. Resolves once that is durable. */
  async nudged(about: Nudge["about"]): Promise<void> {
    if (about.kind === "directory") return;
    const conversation = this.#all.get(about.conversation);
    if (about.kind === "removed") await conversation?.end("not_found");
    else if (conversation === undefined) this.#await(about.conversation);
    else {
      await conversation.nudge(about.seq);
      this.touch(about.conversation);
      // Only the server knows whether one that has ended here is one's own again
      if (isOut(conversation)) this.#surroundings.meet();
    }
  }

  /**
   * Enters a conversation this device was added to. Resolves once that is durable, is known to be impossible, or has to wait for the key log: should
   * the engine be closed before, the device lets itself in later.
   */
  async welcomed(item: WelcomeItem): Promise<void> {
    const { keys, clock } = this.#surroundings;
    if ((await this.#welcome(item, false)) !== "unproven") return;
    const looking = keys.looked().then(async (looked) => {
      if (looked) await this.#welcome(item, true);
    });
    await Promise.race([looking, new Promise<void>((resolve) => clock.after(LOG_WITHIN, resolve))]);
  }

  async #welcome(item: WelcomeItem, looked: boolean): Promise<Entered | undefined> {
    const known = this.#all.get(item.conversation);
    const kept = { record: { ...this.#blank(item.conversation), founded: true }, intents: [] };
    const conversation = known ?? new Conversation(new Ledger(this.#surroundings, kept));
    conversation.rest();
    const by = { item, stock: this.#stock, looked };
    const entered = await conversation.ledger.turn(() => enter(conversation.ledger, by));
    if (entered === "unproven") return entered;
    // The mailbox keeps it until it is entered
    if (entered === undefined && conversation.ledger.failures > 0) throw storeRefusal("unavailable", "not kept");
    if (known === undefined && entered === "in") this.#all.set(item.conversation, conversation);
    // Let in anew where it was out, by a welcome that led nowhere
    if (isOut(known) && entered === "out") await this.#join(item.conversation);
    this.#awaited.delete(item.conversation);
    this.touch(item.conversation);
    await this.#surroundings.siblings.layOver();
    return entered;
  }

  /** Says in every conversation of these members that their keys have changed. */
  async rekeyed(members: readonly MemberId[]): Promise<void> {
    const { time } = this.#surroundings;
    for (const { ledger } of this.all) {
      const here = members.filter((member) => ledger.record.members.includes(member));
      if (here.length === 0 || ledger.record.state === "ended") continue;
      await ledger.turn(async () => {
        const draft = ledger.draft();
        for (const member of here) draft.remark({ kind: "rekeyed", member }, { from: null, at: time.now() });
        await ledger.save(draft);
      });
    }
  }

  /** Asks the server which conversations this member is in, and lets this device into those it was never welcomed to. */
  async discover(): Promise<void> {
    const { api, siblings, context } = this.#surroundings;
    for (const { id, createdBy, members } of await api.conversations()) {
      const conversation = this.#all.get(id);
      if (conversation !== undefined) await this.#excuse(conversation, members);
      // What nobody else is in has nothing for a device that does not know it: it is of an identity key this member had before
      const isForlorn = members.length <= 1 && id !== siblings.self;
      if (conversation === undefined && isForlorn) continue;
      const isBackIn = isOut(conversation) && members.includes(context.me.member);
      if (conversation === undefined || isBackIn) this.#await(id);
      else if (conversation.ledger.record.createdBy === null) await this.#credit(conversation, createdBy);
    }
  }

  /** Resolves when no conversation is working on anything. */
  async idle(): Promise<void> {
    await Promise.all(this.all.map(({ ledger }) => ledger.turn(async () => undefined)));
  }

  /** Dials what is waiting to be dialled. */
  wake(): void {
    for (const conversation of this.#all.values()) conversation.wake();
  }

  /** What was held back may be sent now: everybody looks again. */
  resume(): void {
    for (const conversation of this.#all.values()) conversation.resume();
    this.#surroundings.live.changed();
  }

  /** Opens and closes sockets according to what there is to do, a moment from now. */
  review(): void {
    if (this.#reviewing) return;
    this.#reviewing = true;
    queueMicrotask(() => {
      this.#reviewing = false;
      this.#review();
    });
  }

  close(): void {
    for (const conversation of this.#all.values()) conversation.close();
  }

  #review(): void {
    let opening = 0;
    for (const conversation of this.#all.values()) if (conversation.line === "busy") opening++;
    for (const conversation of this.#all.values()) {
      const { id, record } = conversation.ledger;
      const isRecent = this.#recent.includes(id) || record.kind === "self";
      if (conversation.line === "none") {
        if (!isRecent && (!conversation.hasWork || opening >= OPENED_AT_ONCE)) continue;
        opening++;
        conversation.open();
      } else if (conversation.line === "quiet" && !isRecent && !conversation.hasWork) conversation.rest();
    }
    this.#reviewed();
  }

  async #add(record: ConversationRecord, intents: readonly IntentRecord[]): Promise<Conversation> {
    const conversation = await this.#open(record, intents);
    this.#all.set(record.id, conversation);
    return conversation;
  }

  async #open(record: ConversationRecord, intents: readonly IntentRecord[]): Promise<Conversation> {
    const conversation = new Conversation(new Ledger(this.#surroundings, { record, intents }));
    await conversation.load();
    return conversation;
  }

  /** Gives a welcome time to come. Until then nothing is settled: a device that goes at once would otherwise never get in. */
  #await(id: ConversationId): void {
    const { clock, fault } = this.#surroundings;
    if (this.#awaited.has(id)) return;
    this.#awaited.add(id);
    clock.after(WELCOME_WITHIN, async () => {
      try {
        if (isOut(this.#all.get(id))) await this.#join(id);
      } catch (error) {
        fault("join", error);
      }
      this.#awaited.delete(id);
      this.review();
    });
  }

  /** A conversation whose welcome never came or could not be read: this device lets itself in. */
  async #join(id: ConversationId): Promise<void> {
    const blank = { ...this.#blank(id), founded: true, lost: true };
    const conversation = this.#all.get(id) ?? (await this.#add(blank, []));
    await conversation.ledger.turn(async () => {
      const draft = conversation.ledger.draft();
      draft.set({ state: "joining", lost: true });
      await conversation.ledger.save(draft);
    });
    this.review();
    await this.#surroundings.siblings.layOver();
  }

  #blank(id: ConversationId): ConversationRecord {
    const { siblings, time } = this.#surroundings;
    return blankRecord({ id, kind: id === siblings.self ? "self" : "group", activeAt: time.now() });
  }

  /** Who is missed in a new generation and is in the conversation no more is not missed any longer. */
  async #excuse({ ledger }: Conversation, members: readonly MemberId[]): Promise<void> {
    const { time } = this.#surroundings;
    const isGone = (member: MemberId) => !members.includes(member);
    if (!ledger.record.absent?.some(isGone)) return;
    await ledger.turn(async () => {
      const { absent = [], members: all } = ledger.record;
      const gone = absent.filter(isGone);
      if (gone.length === 0) return;
      const draft = ledger.draft();
      draft.set({
        absent: absent.filter((member) => !gone.includes(member)),
        members: all.filter((member) => !gone.includes(member)),
      });
      draft.remark({ kind: "removed", members: gone }, { from: null, at: time.now() });
      await ledger.save(draft);
    });
  }

  async #credit({ ledger }: Conversation, createdBy: MemberId): Promise<void> {
    await ledger.turn(async () => {
      const draft = ledger.draft();
      draft.set({ createdBy });
      await ledger.save(draft);
    });
  }

  #forget(conversation: Conversation): void {
    const { id } = conversation.ledger;
    conversation.close();
    this.#all.delete(id);
    this.#recent = this.#recent.filter((other) => other !== id);
  }

  async #drop(conversation: Conversation): Promise<void> {
    const { id } = conversation.ledger;
    this.#forget(conversation);
    const { store, live } = this.#surroundings;
    const tables = ["groups", "messages", "intents"] as const;
    const rows = await Promise.all(
      tables.map(async (table) =>
        (await store.scan(table, { prefix: `${id}/` })).map(({ key }) => ({ table, key, value: null })),
      ),
    );
    await store.write([...rows.flat(), { table: "conversations", key: id, value: null }]);
    live.changed();
  }
}

/** This device knows nothing of it, or only that it is out. */
function isOut(conversation: Conversation | undefined): boolean {
  return conversation === undefined || conversation.ledger.record.state === "ended";
}

/** @throws what it is given, unless it says that somebody else has founded it */
function unlessFounded(error: unknown): false {
  if (isRefusal(error) && error.code === "conflict") return false;
  throw error;
}
