// Owns that the devices of one member agree: what is marked or compared here is told to the others in the conversation of the member with itself,
// and what they tell is laid over what is known here. Knows neither how that conversation travels nor what marks and comparisons mean.

import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { concat, toBase64url, utf8 } from "../../schemas/bytes.ts";
import { encodeCbor } from "../../schemas/cbor.ts";
import { type Comparison, type Content, type Mark, MOST_COMPARISONS, MOST_MARKS } from "../../schemas/content.ts";
import type { ConversationId, MemberId } from "../../schemas/ids.ts";
import type { Api } from "./api.ts";
import type { Clock } from "./clock.ts";
import type { Conversation } from "./conversation.ts";
import type { Draft } from "./draft.ts";
import type { Ledger } from "./ledger.ts";
import { adopt, isSet, markOf, merge, settleTold } from "./marks.ts";
import { type AccountRecord, type Batch, decodeRecord, encodeRecord } from "./records.ts";
import type { ServerTime } from "./server-time.ts";
import type { Store } from "./store.ts";
import type { Trust } from "./trust.ts";

/** Whoever has something to tell waits this long for more of it, in ms. */
const CALM = 3_000;
/** What was asked for is told within this time, in ms, by whoever has it and has not heard another tell it. */
const ANSWER_WITHIN = 10_000;
/** A mute that ends later than this is looked at again in between, in ms. */
const LONGEST = 3_600_000;

const UNTOLD = "untold/";
const HEARD = "heard/";
const UNTOLD_KEY = "untold-key/";
const ASKS = { table: "meta", key: "asks-siblings" } as const;

/** What another device of the member told. */
export type Heard = Extract<Content, { type: "marks" }>;

/** The conversations of the profile, as far as they are needed here. */
interface Conversations {
  readonly all: readonly Conversation[];
  find(id: ConversationId): Conversation | undefined;
  /** Founds the conversation of the member with itself, or waits to be let into it. */
  meet(id: ConversationId): Promise<void>;
}

interface Kept {
  readonly untold: Set<ConversationId>;
  readonly heard: Map<ConversationId, Mark>;
  readonly untoldKeys: Set<MemberId>;
  readonly asks: boolean;
}

export interface SiblingsOptions {
  readonly self: ConversationId;
  readonly store: Store;
  readonly api: Pick<Api, "devices">;
  readonly clock: Clock;
  readonly time: Pick<ServerTime, "now">;
  readonly trust: Pick<Trust, "hear" | "settle" | "comparisons">;
  /** Another device has told what was decided about keys. */
  readonly compared: () => void;
  /** What was muted no longer is, or there is no more to tell. */
  readonly changed: () => void;
  readonly fault: (error: unknown) => void;
}

/**
 * The id of a member's conversation with itself: all its devices find the same one, and nobody without its identity key can found one in its
 * place.
 */
export function selfConversation({
  tenant,
  member,
  identityKeys,
}: Pick<AccountRecord, "tenant" | "member" | "identityKeys">): ConversationId {
  const info = concat(utf8("kuvert self conversation 1\0"), encodeCbor([tenant.id, member.id]));
  return toBase64url(hkdf(sha256, identityKeys.privateKey, undefined, info, 16)) as ConversationId;
}

/** The other devices of this member. */
export class Siblings {
  readonly #options: SiblingsOptions;
  /** Conversations whose marks the others have yet to hear of, as they are in the store. */
  readonly #untold: Set<ConversationId>;
  /** What was told of conversations and is not laid over them yet, as it is in the store. */
  readonly #heard: Map<ConversationId, Mark>;
  /** Members about whose keys something was decided that the others have yet to hear of, as they are in the store. */
  readonly #untoldKeys: Set<MemberId>;
  /** Something may have been told that this device never heard. */
  #asks: boolean;
  #conversations: Conversations | null = null;
  /** There is no other device to tell: who comes later founds what is needed. */
  #isAlone = false;
  #armed: (() => void) | null = null;
  #mute: (() => void) | null = null;
  #telling: Promise<void> | null = null;
  #layingOver: Promise<void> | null = null;
  #hasMore = false;
  /** Somebody waits until everything is told. */
  #isAwaited = false;
  #closed = false;

  constructor(options: SiblingsOptions, kept: Kept) {
    this.#options = options;
    this.#untold = kept.untold;
    this.#heard = kept.heard;
    this.#untoldKeys = kept.untoldKeys;
    this.#asks = kept.asks;
  }

  /** What an earlier run has left to do. */
  static async kept(store: Store): Promise<Kept> {
    const [untold, heard, untoldKeys, asks] = await Promise.all([
      store.scan("meta", { prefix: UNTOLD }),
      store.scan("meta", { prefix: HEARD }),
      store.scan("meta", { prefix: UNTOLD_KEY }),
      store.get(ASKS.table, ASKS.key),
    ]);
    return {
      untold: new Set(untold.map(({ key }) => key.slice(UNTOLD.length) as ConversationId)),
      heard: new Map(heard.map(({ key, value }) => [key.slice(HEARD.length) as ConversationId, decodeRecord(value)])),
      untoldKeys: new Set(untoldKeys.map(({ key }) => key.slice(UNTOLD_KEY.length) as MemberId)),
      asks: asks !== undefined,
    };
  }

  /** Goes on where an earlier run stopped. */
  async start(conversations: Conversations): Promise<void> {
    this.#conversations = conversations;
    await this.layOver();
  }

  /** The conversation the devices meet in. */
  get self(): ConversationId {
    return this.#options.self;
  }

  /** Nothing is left to tell that could be told now. */
  get idle(): boolean {
    return this.#telling === null && (!this.#hasNews || this.#meeting === undefined);
  }

  /** The server answers: founds the conversation with itself if the member has other devices and none has done so. @throws {Refusal} any */
  async reached(): Promise<void> {
    if (this.#isAlone || this.#conversations === null || this.#conversations.find(this.self) !== undefined) return;
    const devices = await this.#options.api.devices();
    this.#isAlone = devices.filter(({ revokedAt }) => revokedAt === null).length < 2;
    if (!this.#isAlone) await this.#conversations.meet(this.self);
  }

  /** Adds what a draft has for the others, or has from them, to its write. */
  enter(draft: Draft): void {
    const { record, batch, telling } = draft;
    if (telling === "due") this.#owe(draft, record.id);
    if (telling === "done" && this.#untold.delete(record.id)) batch.delete("meta", UNTOLD + record.id);
    if (record.kind !== "self") return;
    if (draft.missed) {
      this.#asks = true;
      batch.put(ASKS.table, ASKS.key, {});
    }
    for (const mark of draft.heard.flatMap(({ marks }) => marks)) {
      const before = this.#heard.get(mark.conversation);
      const together = before === undefined ? mark : merge(before, mark);
      this.#heard.set(mark.conversation, together);
      batch.add({ table: "meta", key: HEARD + mark.conversation, value: encodeRecord(together) });
    }
    for (const comparison of draft.heard.flatMap(({ comparisons }) => comparisons)) this.#hear(batch, comparison);
    if (draft.heard.some(({ asks }) => asks)) this.#answer(draft);
  }

  /** A draft is durable: does what it gives to do. */
  settle({ record, telling, heard }: Draft): void {
    if (record.kind === "self") this.#look(heard.some(({ asks }) => asks) ? this.#someTime() : CALM);
    if (heard.some(({ comparisons }) => comparisons.length > 0)) {
      this.#options.trust.settle();
      this.#options.compared();
    }
    if (heard.length > 0) this.layOver().catch(this.#options.fault);
    if (telling === null) return;
    this.#watchMutes();
    this.#look(CALM);
  }

  /** A person has decided about a member's key: the others are to hear of it, from this write on. */
  decide(batch: Batch, member: MemberId): void {
    this.#untoldKeys.add(member);
    batch.put("meta", UNTOLD_KEY + member, {});
  }

  /** What was decided is durable. */
  decided(): void {
    this.#look(CALM);
  }

  /** Lays over the conversations there are what was told of them. Callers at the same time share one go. */
  layOver(): Promise<void> {
    this.#hasMore = true;
    this.#layingOver ??= this.#layOver().finally(() => {
      this.#layingOver = null;
    });
    return this.#layingOver;
  }

  /** Tells what there is to tell now. Callers at the same time share one go. */
  hurry(): Promise<void> {
    this.#armed?.();
    this.#armed = null;
    this.#telling ??= this.#tell()
      .catch(this.#options.fault)
      .finally(() => {
        this.#telling = null;
        this.#options.changed();
        this.#look(CALM);
      });
    return this.#telling;
  }

  /** While somebody waits for it, everything is told at once. */
  set awaited(is: boolean) {
    this.#isAwaited = is;
    if (is && !this.idle) void this.hurry();
  }

  close(): void {
    this.#closed = true;
    this.#armed?.();
    this.#mute?.();
  }

  /** Resolves when what was under way at closing is done. */
  async finished(): Promise<void> {
    await Promise.all([this.#telling, this.#layingOver]);
  }

  get #hasNews(): boolean {
    return this.#asks || this.#untold.size > 0 || this.#untoldKeys.size > 0;
  }

  /** The conversation with itself, when something can be said in it. */
  get #meeting(): Conversation | undefined {
    const self = this.#conversations?.find(this.self);
    const { state, lost } = self?.ledger.record ?? { state: "ended", lost: true };
    return state === "active" && !lost ? self : undefined;
  }

  #owe({ batch }: Pick<Draft, "batch">, id: ConversationId): void {
    this.#untold.add(id);
    batch.put("meta", UNTOLD + id, {});
  }

  /** What is known here already need not be told any more. */
  #hear(batch: Batch, told: Comparison): void {
    const { trust } = this.#options;
    trust.hear(batch, told);
    const isAgreed = trust.comparisons.find(told.member) === told;
    if (isAgreed && this.#untoldKeys.delete(told.member)) batch.delete("meta", UNTOLD_KEY + told.member);
  }

  #answer(draft: Draft): void {
    for (const { member } of this.#options.trust.comparisons.all) this.decide(draft.batch, member);
    for (const { ledger } of this.#conversations?.all ?? []) {
      if (ledger.id !== this.self && isSet(markOf(ledger.record))) this.#owe(draft, ledger.id);
    }
  }

  /** Several devices may have the answer: one of them is first, and the others then have nothing left to tell. */
  #someTime(): number {
    return CALM + this.#options.clock.random() * ANSWER_WITHIN;
  }

  #look(delay: number): void {
    const self = this.#meeting;
    if (this.#closed || !this.#hasNews || self === undefined || isTelling(self)) return;
    if (this.#isAwaited) void this.hurry();
    else this.#armed ??= this.#options.clock.after(delay, () => void this.hurry());
  }

  async #tell(): Promise<void> {
    const self = this.#meeting;
    // One message at a time: what changes while it is on its way goes with the next, as it stands then
    if (self === undefined || isTelling(self)) return;
    const ledgers = new Map<ConversationId, Ledger | undefined>();
    for (const id of [...this.#untold].slice(0, MOST_MARKS)) ledgers.set(id, this.#conversations?.find(id)?.ledger);
    const marks = [...ledgers.values()].flatMap((ledger) => (ledger === undefined ? [] : [markOf(ledger.record)]));
    const { trust, store } = this.#options;
    const comparisons = [...this.#untoldKeys]
      .slice(0, MOST_COMPARISONS)
      .flatMap((id) => trust.comparisons.find(id) ?? []);
    const asks = this.#asks;
    if (marks.length > 0 || comparisons.length > 0 || asks)
      await self.wish({ kind: "marks", marks, comparisons, asks });
    const gone = [...ledgers].flatMap(([id, ledger]) => (ledger === undefined ? [id] : []));
    for (const id of gone) this.#untold.delete(id);
    if (asks) this.#asks = false;
    // Decided anew meanwhile: that goes with the next
    const said = comparisons.filter((each) => trust.comparisons.find(each.member) === each);
    for (const { member } of said) this.#untoldKeys.delete(member);
    const keys = [...gone.map((id) => UNTOLD + id), ...said.map(({ member }) => UNTOLD_KEY + member)];
    const forgotten = keys.map((key) => ({ table: "meta" as const, key, value: null }));
    await store.write([...forgotten, ...(asks ? [{ ...ASKS, value: null }] : [])]);
    for (const mark of marks) {
      const ledger = ledgers.get(mark.conversation);
      if (ledger !== undefined) await settleTold(ledger, mark);
    }
  }

  async #layOver(): Promise<void> {
    while (this.#hasMore) {
      this.#hasMore = false;
      for (const [id, mark] of this.#heard) {
        const ledger = this.#conversations?.find(id)?.ledger;
        if (ledger === undefined || ledger.record.kind === "self" || (await adopt(ledger, mark)) !== true) continue;
        // Another may have been told meanwhile
        if (this.#heard.get(id) !== mark) continue;
        this.#heard.delete(id);
        await this.#options.store.write([{ table: "meta", key: HEARD + id, value: null }]);
      }
    }
    this.#watchMutes();
    // The one to meet in may have been among what is new
    this.#look(CALM);
  }

  /** Says so when the next mute has ended. */
  #watchMutes(): void {
    this.#mute?.();
    const now = this.#options.time.now();
    const ends = (this.#conversations?.all ?? []).map(({ ledger }) => ledger.record.muted.until);
    const next = Math.min(...ends.filter((until) => until > now));
    if (this.#closed || !Number.isFinite(next)) return;
    this.#mute = this.#options.clock.after(Math.min(next - now, LONGEST), () => {
      this.#options.changed();
      this.#watchMutes();
    });
  }
}

/** Something is on its way already. */
function isTelling({ ledger }: Conversation): boolean {
  return ledger.outbox.open.some(({ wish }) => wish?.kind === "marks");
}
