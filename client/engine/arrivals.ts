// Owns taking in what a conversation's socket brings: strictly in the order of the log, proven by the rolling hash, persisted before it is
// shown, page by page. What an envelope means is for intake.

import type * as v from "valibot";
import { equalBytes } from "../../schemas/bytes.ts";
import { decodeCbor, encodeCbor } from "../../schemas/cbor.ts";
import { readHeader } from "../../schemas/envelope.ts";
import type { EnvelopesFrame, Head, ReadyFrame, ServerFrame } from "../../schemas/frames.ts";
import type { Draft } from "./draft.ts";
import { contradicts } from "./group/doubt.ts";
import type { Outcome } from "./group/open.ts";
import { openMany } from "./group/open-many.ts";
import type { Group, Step } from "./group/state.ts";
import { type Reading, takeIn, type Verdict } from "./intake.ts";
import type { Ledger } from "./ledger.ts";
import type { Line } from "./line.ts";
import { follow, type Linked } from "./log-proof.ts";
import type { ConversationRecord } from "./records.ts";
import { type Passage, pass, passageAt } from "./succession.ts";
import type { LogFault } from "./view.ts";

/** Envelopes that share one write. */
const PAGE = 256;
/** A welcome to the next generation is given this long to come before a device lets itself in, in ms. */
const WELCOME_WITHIN = 5_000;
/** What was being taken in when the engine died this often is not looked at again. */
const FATAL = 2;

type Ready = v.InferOutput<typeof ReadyFrame>;

interface Marker {
  readonly from: number;
  readonly to: number;
  readonly deaths: number;
}

/** What a page's messages are, opened before it was its turn, with the step that took. */
interface Ahead {
  readonly step?: Step;
  readonly outcomes: ReadonlyMap<number, Outcome>;
}

const NOTHING: Ahead = { outcomes: new Map() };

/** Brings a ledger forward along its log. */
export class Arrivals {
  readonly #ledger: Ledger;
  readonly #line: Line;
  /** Something may be left over from a run that died: mark every page before it is taken in. */
  #careful: boolean;
  /** What was being taken in when an earlier run died. */
  #marker: Marker | null = null;
  /** Where the log stood when the socket was opened, until that has been reached. */
  #head: Head | null = null;
  /** The epoch in which the server was last asked for its group because a message could not be opened. */
  #doubted: number | null = null;
  /** Nothing is taken in while the key log is asked about somebody who enters. */
  #looking = false;
  /** The key log has been read since everything up to this seq was accepted. */
  #lookedTo = 0;
  /** Calls off the wait for a welcome; null while none is waited for. */
  #waiting: (() => void) | null = null;
  /** The beginning of a generation for which this device waits no more. */
  #passed = 0;

  constructor(ledger: Ledger, line: Line) {
    this.#ledger = ledger;
    this.#line = line;
    this.#careful = ledger.surroundings.careful;
  }

  /** Reads what an earlier run left behind when it died. */
  async load(): Promise<void> {
    const kept = await this.#ledger.surroundings.store.get("quarantine", this.#ledger.id);
    this.#marker = kept === undefined ? null : (decodeCbor(kept) as Marker);
    if (this.#marker !== null) this.#careful = true;
  }

  /** The next generation has begun, and the welcome to it is waited for: nothing after that is of use yet. */
  get isWaiting(): boolean {
    return this.#waiting !== null;
  }

  /** The socket says where the log stands. */
  async ready({ head, first, delivered, confirmed }: Ready): Promise<void> {
    this.#waiting?.();
    this.#waiting = null;
    const { record } = this.#ledger;
    const { cursor, hash, reached = 0 } = record;
    if (head.seq < cursor) return this.break("rolled_back");
    if (head.seq === cursor && !equalBytes(head.hash, hash)) return this.break("altered");
    // Confirmed is only what was durable: this device has been further than its store is now
    if (confirmed > Math.max(cursor, reached) && !record.lost) await this.#become({ outdated: true });
    if (delivered > record.delivered) this.deliver(delivered);
    this.#head = head;
    if (first > cursor + 1) await this.lose();
    await this.#compareEpoch();
    if (this.#looking) return;
    // What the log has forgotten already cannot be fetched: then the way back leads to its end
    if (head.seq > cursor && first <= cursor + 1) this.#line.pull(cursor);
  }

  /** Takes in frames that came one after the other, as if they were one: however few envelopes each holds, they share writes. */
  async take(frames: readonly EnvelopesFrame[]): Promise<void> {
    if (this.isWaiting) return;
    if (this.#looking) return this.#line.hold();
    const { linked, fault } = this.#follow(frames);
    const verdict = await this.#takeAll(linked);
    if (verdict === "broken") return this.break("contradicted");
    if (verdict === "unproven") return this.#lookFirst(linked);
    if (this.isWaiting) return this.#line.hold();
    const delivered = Math.max(...frames.map((frame) => frame.delivered));
    if (delivered > this.#ledger.record.delivered) this.deliver(delivered);
    if (linked.length > 0) this.#line.confirm(this.#ledger.record.cursor);
    if (fault === "gap") return this.#line.pull(this.#ledger.record.cursor);
    if (fault === "broken") return this.break("altered");
    if (!this.#line.live) this.#line.more();
    else this.#careful = false;
    await this.#compareEpoch();
  }

  /** What follows the last envelope taken in without a gap, and what is wrong with the next frame, if anything is. */
  #follow(frames: readonly EnvelopesFrame[]): { linked: readonly Linked[]; fault: "gap" | "broken" | null } {
    const all: Linked[] = [];
    let { cursor: seq, hash } = this.#ledger.record;
    for (const { envelopes, hash: claimed } of frames) {
      const linked = follow({ seq, hash }, { envelopes, claimed });
      if (linked === "gap" || linked === "broken") return { linked: all, fault: linked };
      all.push(...linked);
      hash = linked.at(-1)?.hash ?? hash;
      seq = lastSeq(linked) || seq;
    }
    return { linked: all, fault: null };
  }

  /** Everybody has everything up to `seq`. Saved with the next write: the server says it again at every resume. */
  deliver(seq: number): void {
    const { surroundings, id } = this.#ledger;
    this.#ledger.record = { ...this.#ledger.record, delivered: Math.min(seq, this.#ledger.record.cursor) };
    surroundings.live.timeline(id);
  }

  /** Commits may have been destroyed before this device saw them: then the group is behind although the log is not. */
  async #compareEpoch(): Promise<void> {
    const { group, record } = this.#ledger;
    if (this.#head === null || record.cursor < this.#head.seq) return;
    const { generation, epoch } = this.#head;
    const isOlder = group !== null && group.generation < generation;
    if (group?.live != null && (isOlder || group.live.number < epoch)) await this.lose();
    this.#head = null;
  }

  /** The group cannot follow the log any more, or must not be used any further. */
  async lose(): Promise<void> {
    if (!this.#ledger.record.lost) await this.#become({ lost: true, outdated: false });
  }

  /** This is not the log that was seen before: nothing of it is shown, and nothing is said into it. */
  async break(fault: LogFault): Promise<void> {
    this.#line.close();
    await this.#become({ state: "broken", fault });
  }

  /** What the server keeps of the group, asked for in doubt: if it is another one of the same epoch, somebody was shown another commit. */
  async compare({ bytes, head }: Extract<ServerFrame, { type: "group_info" }>): Promise<void> {
    const { group, record } = this.#ledger;
    if (record.lost || bytes === null || group === null || head.generation !== group.generation) return;
    if (contradicts(group, bytes)) await this.break("forked");
  }

  /** Asks once in every epoch. */
  #doubt(): void {
    const epoch = this.#ledger.group?.live?.number ?? null;
    if (epoch === null || epoch === this.#doubted) return;
    if (this.#line.send({ type: "group_info" })) this.#doubted = epoch;
  }

  async #become(fields: Partial<ConversationRecord>): Promise<void> {
    const draft = this.#ledger.draft();
    draft.set(fields);
    await this.#ledger.save(draft);
  }

  /** Asks the key log about somebody who enters, beside the ledger's turns, and goes on when it has answered. */
  #lookFirst(linked: readonly Linked[]): void {
    const { surroundings } = this.#ledger;
    this.#looking = true;
    this.#line.hold();
    void surroundings.keys.looked().then(async (looked) => {
      this.#looking = false;
      if (!looked) return;
      this.#lookedTo = linked.at(-1)?.envelope.seq ?? 0;
      await this.#ledger.turn(async () => this.#line.pull(this.#ledger.record.cursor));
    });
  }

  /** Whoever adds this device says so on the log before the welcome is here. */
  async #wait(seq: number): Promise<void> {
    const { surroundings } = this.#ledger;
    this.#waiting = surroundings.clock.after(WELCOME_WITHIN, () => {
      void this.#ledger.turn(async () => {
        this.#waiting = null;
        this.#passed = seq;
        this.#line.pull(this.#ledger.record.cursor);
      });
    });
    await this.lose();
  }

  async #takeAll(linked: readonly Linked[]): Promise<Verdict> {
    let ahead: Promise<Ahead> | undefined;
    /** The mark in the store reaches up to this seq. */
    let markedTo = 0;
    for (let at = 0; at < linked.length; ) {
      const page = this.#page(linked, at);
      at += page.length;
      const [first] = page;
      const passage = first === undefined ? "none" : passageAt(this.#ledger, first.envelope);
      if (first !== undefined && passage === "welcomed" && this.#passed < first.envelope.seq) {
        await this.#wait(first.envelope.seq);
        return "taken";
      }
      const isMarked = this.#careful || isCommit(first);
      const next = this.#next(linked, at);
      let quarantined = false;
      if (isMarked && lastSeq(page) > markedTo) {
        // The next page is opened before it is its turn, so the mark is for both
        const marked = this.#isSuspect(first) ? page : [...page, ...next];
        quarantined = await this.#mark(marked);
        markedTo = lastSeq(marked);
      }
      const draft = this.#ledger.draft();
      const opened = quarantined ? undefined : await (ahead ?? this.#openAhead(draft.group, page));
      const verdict = await this.#takePage(draft, { page, quarantined, opened, passage });
      if (verdict === "unproven") await this.#unmark();
      if (verdict !== "taken") return verdict;
      // The next page is opened while this one is written, unless it has to wait for its mark
      const isOpenable = next.length > 0 && (!this.#careful || lastSeq(next) <= markedTo);
      ahead = isOpenable ? this.#openAhead(draft.group, next) : undefined;
      if (isMarked) markedTo = this.#markNext(draft, this.#careful && isOpenable ? linked.slice(at) : []);
      const missed = draft.record.absent?.length ?? 0;
      const isNews = draft.record.absent !== this.#ledger.record.absent;
      await this.#ledger.save(draft);
      // Only the server knows whether those who are not in yet still may be
      if (isNews && missed > 0) this.#ledger.surroundings.meet();
    }
    return "taken";
  }

  async #takePage(
    draft: Draft,
    given: { page: readonly Linked[]; quarantined: boolean; opened: Ahead | undefined; passage: Passage },
  ): Promise<Verdict> {
    const { surroundings, outbox, heads } = this.#ledger;
    const { page, quarantined, opened, passage } = given;
    if (opened?.step !== undefined) draft.step(opened.step);
    const { me } = surroundings.context;
    const reading: Reading = {
      outbox,
      heads,
      me: me.member,
      device: me.device,
      now: surroundings.time.now(),
      defaultExpiry: surroundings.policy().defaultExpiry,
      quarantined,
      looked: (page.at(-1)?.envelope.seq ?? 0) <= this.#lookedTo,
      heard: (head, from) => surroundings.keys.heard(head, from),
      doubt: () => this.#doubt(),
      opened: opened?.outcomes ?? new Map(),
    };
    for (const linked of page) {
      const { envelope, hash } = linked;
      const verdict = await this.#takeOne(draft, { linked, passage, reading });
      if (verdict !== "taken") return verdict;
      draft.set({ cursor: envelope.seq, hash, known: Math.max(draft.record.known, envelope.seq) });
      heads.add({ seq: envelope.seq, hash });
    }
    return "taken";
  }

  async #takeOne(
    draft: Draft,
    { linked, passage, reading }: { linked: Linked; passage: Passage; reading: Reading },
  ): Promise<Verdict> {
    if (passage === "none") return takeIn(draft, linked.envelope, reading);
    return (await pass(this.#ledger, draft, { linked, passage })) ? "taken" : "broken";
  }

  /** Opens others' messages of a page side by side if they are all in order; otherwise intake opens them one by one. */
  async #openAhead(group: Group | null, page: readonly Linked[]): Promise<Ahead> {
    const { outbox, record } = this.#ledger;
    const foreign = page.flatMap(({ envelope: { id, seq, bytes } }) =>
      bytes === null || outbox.find(id) !== undefined ? [] : [{ seq, bytes }],
    );
    if (group === null || record.lost || foreign.length < 2) return NOTHING;
    const many = await openMany(
      group,
      foreign.map(({ bytes }) => bytes),
    );
    if (many === undefined) return NOTHING;
    const outcomes = many.messages.map((message, index): [number, Outcome] => [foreign[index]?.seq ?? 0, message]);
    return { step: many, outcomes: new Map(outcomes) };
  }

  /** Envelopes that may share a write: a commit stands alone, and so does what begins a generation. */
  #page(linked: readonly Linked[], at: number): readonly Linked[] {
    const first = linked[at];
    const limit = this.#isSuspect(first) ? 1 : PAGE;
    let end = at + 1;
    if (this.#standsAlone(first)) return linked.slice(at, end);
    while (end < linked.length && end - at < limit && !this.#standsAlone(linked[end])) end++;
    return linked.slice(at, end);
  }

  /** The page at `at` if it can be opened before it is its turn; otherwise nothing. */
  #next(linked: readonly Linked[], at: number): readonly Linked[] {
    const first = linked[at];
    return first === undefined || this.#standsAlone(first) || this.#isSuspect(first) ? [] : this.#page(linked, at);
  }

  /** The engine died while this was being taken in. */
  #isSuspect(linked: Linked | undefined): boolean {
    return this.#marker !== null && (linked?.envelope.seq ?? 0) <= this.#marker.to;
  }

  #standsAlone(linked: Linked | undefined): boolean {
    return isCommit(linked) || linked?.envelope.seq === this.#ledger.record.successors?.[0]?.seq;
  }

  /** Leaves word of what is about to be taken in; true when that has killed the engine before and must not be looked at again. */
  async #mark(page: readonly Linked[]): Promise<boolean> {
    const from = page[0]?.envelope.seq ?? 0;
    const to = page.at(-1)?.envelope.seq ?? from;
    const before = this.#marker;
    const deaths = before?.from === from && before.to === to ? before.deaths : 0;
    const { store } = this.#ledger.surroundings;
    const marker: Marker = { from, to, deaths: deaths + 1 };
    await store.write([{ table: "quarantine", key: this.#ledger.id, value: encodeCbor(marker) }]);
    return page.length === 1 && deaths >= FATAL;
  }

  /** In the write of a page, moves the mark on to what comes next; up to which seq it then reaches, 0 when nothing is marked any more. */
  #markNext(draft: Draft, rest: readonly Linked[]): number {
    const [first] = rest;
    if (first === undefined) {
      draft.batch.delete("quarantine", this.#ledger.id);
      return 0;
    }
    const page = this.#page(rest, 0);
    const to = lastSeq([...page, ...this.#next(rest, page.length)]);
    draft.batch.put("quarantine", this.#ledger.id, { from: first.envelope.seq, to, deaths: 1 } satisfies Marker);
    return to;
  }

  /** What was looked at has killed nobody, and is looked at again later. */
  async #unmark(): Promise<void> {
    await this.#ledger.surroundings.store.write([{ table: "quarantine", key: this.#ledger.id, value: null }]);
  }
}

function lastSeq(linked: readonly Linked[]): number {
  return linked.at(-1)?.envelope.seq ?? 0;
}

function isCommit(linked: Linked | undefined): boolean {
  const bytes = linked?.envelope.bytes ?? null;
  return bytes !== null && readHeader(bytes)?.kind === "commit";
}
