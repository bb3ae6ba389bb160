// Owns one conversation as people use it: what they do goes into its outbox, what its socket brings goes through arrivals, and it says
// whether it needs a socket. Its parts own the rest: ledger (truth), arrivals, departures, changes, line.

import type { RefusedFrame, ServerFrame } from "../../schemas/frames.ts";
import type { RefusalCode } from "../../schemas/refusal.ts";
import { Arrivals } from "./arrivals.ts";
import { Changes } from "./changes.ts";
import { Consent } from "./consent.ts";
import { Departures } from "./departures.ts";
import { destroy } from "./destruction.ts";
import { holdOf } from "./hold.ts";
import { isWayBack } from "./intake.ts";
import type { Ledger } from "./ledger.ts";
import { Line } from "./line.ts";
import type { Ending } from "./link.ts";
import { markRead } from "./marks.ts";
import { pause } from "./pause.ts";
import type { IntentRecord, Wish } from "./records.ts";
import type { Due } from "./timers.ts";
import { WayBack } from "./way-back.ts";

/** Members online at the same time wait differently long before they commit a removal out: one of them wins, the others need not try. */
const EXPEL_WITHIN = 1_500;

/** After the store failed it is asked again within a time that doubles between these, in ms. */
const STORE_AGAIN = { least: 500, most: 30_000 };
/** A question the server has no answer to now is asked again after this long, in ms. */
const ASK_AGAIN = 5_000;
const DRAIN_LOOK = 50;
/** Frames that follow each other this closely, in ms, are given a moment to gather, so that they share a write. */
const STREAMING = 20;

/** A conversation at work. */
export class Conversation {
  readonly ledger: Ledger;
  readonly consent: Consent;
  readonly #line: Line;
  readonly #arrivals: Arrivals;
  readonly #departures: Departures;
  readonly #changes: Changes;
  readonly #wayBack: WayBack;
  #inbox: ServerFrame[] = [];
  #draining = false;
  #drainedAt = Number.NEGATIVE_INFINITY;
  /** This device has just removed somebody, so it commits the removal at once. */
  #eager = false;
  /** The store failed and is given time. */
  #isRecovering = false;

  constructor(ledger: Ledger) {
    this.ledger = ledger;
    ledger.failed = () => this.#recover();
    this.#line = new Line({
      conversation: ledger.id,
      surroundings: ledger.surroundings,
      cursor: () => ledger.record.cursor,
      waiting: () => this.#inbox.length,
      onFrame: (frame) => this.#receive(frame),
      onOpen: () => this.#opened(),
      onClose: (ending) => this.#closed(ending),
      onRoom: () => this.#pump(),
    });
    this.#changes = new Changes(ledger);
    this.#wayBack = new WayBack(ledger, {
      line: this.#line,
      changes: this.#changes,
      again: () => (this.#caughtUp && !this.#over ? this.#proceed() : Promise.resolve()),
      begin: async (generation) => {
        await this.#changes.beginAnew(generation);
        this.consent.askAll();
      },
    });
    this.#arrivals = new Arrivals(ledger, this.#line);
    this.#departures = new Departures(ledger, {
      line: this.#line,
      changes: this.#changes,
      again: () => this.#pump(),
    });
    this.consent = new Consent(ledger, {
      changes: this.#changes,
      departures: this.#departures,
      given: () => {
        ledger.surroundings.review();
        this.#pump();
      },
    });
  }

  /** Reads what an earlier run left behind. */
  load(): Promise<void> {
    return this.#arrivals.load();
  }

  /** Everything heard of is taken in, everything wished is done, and nothing is on its way; or nobody can let this device in now. */
  get settled(): boolean {
    if (this.#over) return true;
    if (this.#isRecovering) return false;
    const caughtUp = !this.#line.wanted || this.#caughtUp;
    const done = !this.hasWork || this.#wayBack.isResting || this.#wayBack.isLong || this.#isHeld;
    return caughtUp && done && this.ledger.idle && this.consent.idle;
  }

  /** This device has long tried to get into the group, and is not in. */
  get isOutside(): boolean {
    return !this.#over && this.#wayBack.isLong;
  }

  /** Something is to be fetched or sent. */
  get hasWork(): boolean {
    const { record, outbox } = this.ledger;
    if (this.#over) return false;
    return record.known > record.cursor || record.lost || this.#changes.leaving.length > 0 || outbox.open.length > 0;
  }

  /** Whether a socket is open or being opened, and nothing is on its way over it. */
  get line(): "none" | "busy" | "quiet" {
    return !this.#line.wanted ? "none" : this.#caughtUp && this.ledger.idle ? "quiet" : "busy";
  }

  /** Opens the socket, if this conversation can have one. */
  open(): void {
    if (this.#isRecovering) return;
    if (!this.#over && this.ledger.record.founded && !this.ledger.stopped) this.#line.open();
    else this.consent.askAll();
  }

  /** Closes the socket. */
  rest(): void {
    this.#line.close();
    this.#inbox = [];
  }

  /** The network is back, or somebody wants it now. */
  wake(): void {
    this.#line.wake();
    this.consent.wake();
  }

  /** What was held back may be sent now. */
  resume(): void {
    if (this.ledger.outbox.open.length > 0) this.#pump();
  }

  close(): void {
    this.rest();
    this.ledger.stop();
  }

  /** Something new is at `seq`. */
  async nudge(seq: number): Promise<void> {
    await this.ledger.turn(async () => {
      if (seq <= this.ledger.record.known) return;
      const draft = this.ledger.draft();
      draft.set({ known: seq });
      await this.ledger.save(draft);
    });
  }

  /** Makes a wish durable; it comes true by and by. */
  async wish(wish: Wish): Promise<IntentRecord> {
    const { outbox, surroundings } = this.ledger;
    const intent = outbox.compose(wish, surroundings.time.now());
    const draft = this.ledger.draft();
    draft.intend(intent);
    await surroundings.store.write(draft.batch.writes);
    outbox.put(intent);
    surroundings.live.timeline(this.ledger.id);
    surroundings.review();
    this.#pump();
    return intent;
  }

  /**
   * Makes a wish the server has to agree to durable and asks at once. Not reaching the server is no refusal: it is asked again later.
   * @throws {Refusal} any — the server said no; the wish is forgotten
   */
  async change(wish: Wish): Promise<void> {
    this.#eager ||= wish.kind === "remove";
    await this.consent.ask(await this.wish(wish));
  }

  /** Resolves when nothing waits to be sent, or cannot be sent now, or `most` ms have passed. */
  async drained(most: number): Promise<void> {
    const { outbox, surroundings } = this.ledger;
    const { clock } = surroundings;
    const until = clock.now() + most;
    while (outbox.open.length > 0 && this.#line.live && clock.now() < until) {
      await new Promise<void>((resolve) => clock.after(DRAIN_LOOK, resolve));
    }
  }

  /** A failed text is tried again, after everything that waits now. */
  async retry(intent: IntentRecord): Promise<void> {
    const { outbox, surroundings } = this.ledger;
    if (intent.wish === null || intent.refusal === null) return;
    const again = {
      ...outbox.compose(intent.wish, surroundings.time.now()),
      ...(intent.refusal !== "conflict" && { id: intent.id }),
    };
    await this.ledger.turn(async () => {
      const draft = this.ledger.draft();
      draft.retire(intent);
      draft.intend(again);
      draft.afterwards(() => {
        outbox.delete(intent);
        outbox.put(again);
      });
      await this.ledger.save(draft);
    });
    surroundings.review();
    this.#pump();
  }

  /** A failed text is forgotten. */
  async discard(intent: IntentRecord): Promise<void> {
    if (intent.refusal === null) return;
    await this.ledger.turn(async () => {
      const draft = this.ledger.draft();
      draft.retire(intent);
      draft.afterwards(() => this.ledger.outbox.delete(intent));
      await this.ledger.save(draft);
    });
  }

  /** This device is no longer in; what was said stays readable, what waits can never leave. */
  async end(code: RefusalCode): Promise<void> {
    this.rest();
    await this.ledger.turn(async () => {
      if (this.ledger.record.state === "ended") return;
      const { surroundings, outbox, record } = this.ledger;
      const me = surroundings.context.me.member;
      const draft = this.ledger.draft();
      draft.set({ state: "ended", members: record.members.filter((member) => member !== me), unread: 0 });
      // Whoever only tried to get back in has been told already
      if (record.members.includes(me) || record.members.length === 0)
        draft.remark({ kind: "removed", members: [me] }, { from: null, at: surroundings.time.now() });
      await this.ledger.save(draft);
      for (const intent of outbox.open) await this.#departures.fail(intent, code);
    });
  }

  /** The person has seen everything there is. */
  read(): Promise<void> {
    return markRead(this.ledger);
  }

  /** Destroys lines and waiting texts whose time has come, with all that was made of them. */
  async destroy(due: readonly Due[]): Promise<void> {
    await this.ledger.turn(() => destroy(this.ledger, due));
  }

  /** Lets go of the socket, so that whatever was begun comes in again, and goes on once the store answers. */
  #recover(): void {
    this.rest();
    if (this.#isRecovering) return;
    this.#isRecovering = true;
    const { clock } = this.ledger.surroundings;
    const longest = Math.min(STORE_AGAIN.most, STORE_AGAIN.least * 2 ** this.ledger.failures);
    clock.after(longest * (1 + clock.random()), () => {
      this.#isRecovering = false;
      void this.ledger
        .turn(async () => true)
        .then((isBack) => {
          // There may be more than was heard of, since what a nudge said was not kept either
          if (isBack) this.open();
        });
    });
  }

  get #over(): boolean {
    const { state } = this.ledger.record;
    return state === "ended" || state === "broken";
  }

  /** What waits, waits for a person to look at a changed key. */
  get #isHeld(): boolean {
    const { record, outbox } = this.ledger;
    const isUpToDate = record.known <= record.cursor && !record.lost && this.#changes.leaving.length === 0;
    const onlyMessages = outbox.open.every(({ wish }) => wish?.kind === "text" || wish?.kind === "settings");
    return isUpToDate && onlyMessages && holdOf(this.ledger)?.reason === "changed";
  }

  get #caughtUp(): boolean {
    return this.#line.live && this.#inbox.length === 0 && !this.#draining;
  }

  #opened(): void {
    this.#inbox = [];
    this.#wayBack.reset();
    this.#departures.reset();
  }

  #closed({ terminal, refusal }: Ending): void {
    if (!terminal || refusal === null) return;
    const { surroundings, record } = this.ledger;
    if (refusal === "not_found" || refusal === "forbidden") {
      // A conversation founded just now may not be known everywhere yet; one that was lost is out
      if (record.founded) void this.end(refusal);
    } else surroundings.end(refusal);
  }

  #receive(frame: ServerFrame): void {
    this.#inbox.push(frame);
    this.#drainSoon();
  }

  #drainSoon(): void {
    if (this.#draining || this.#inbox.length === 0) return;
    this.#draining = true;
    void this.ledger
      .turn(async () => {
        if (performance.now() - this.#drainedAt < STREAMING) await pause();
        await this.#drain();
      })
      .finally(() => {
        this.#draining = false;
        this.#drainedAt = performance.now();
        this.ledger.surroundings.review();
        // What came in while the outbox was seen to; nothing more is taken in by a ledger that has stopped
        if (!this.ledger.stopped) this.#drainSoon();
      });
  }

  async #drain(): Promise<void> {
    for (let frame = this.#inbox.shift(); frame !== undefined; frame = this.#inbox.shift()) {
      if (this.#over) {
        this.#inbox = [];
        return;
      }
      if (frame.type === "envelopes") {
        const frames = [frame];
        while (this.#inbox[0]?.type === "envelopes") frames.push(this.#inbox.shift() as typeof frame);
        await this.ledger.surroundings.time.observe(frame.now);
        await this.#arrivals.take(frames);
      } else await this.#heed(frame);
    }
    if (this.#line.live && !this.#over) await this.#proceed();
  }

  async #heed(frame: Exclude<ServerFrame, { type: "envelopes" }>): Promise<void> {
    const { record } = this.ledger;
    if (frame.type === "ready") {
      await this.ledger.surroundings.time.observe(frame.now);
      await this.#arrivals.ready(frame);
      const { lost, cursor, generation } = this.ledger.record;
      // What lies between is of no use to a device that is in no group yet, and cannot be had by one that comes too late for it
      const leaps = generation === null || frame.first > cursor + 1;
      if (lost) await this.#wayBack.seek();
      if (lost && leaps && !this.#line.live) this.#wayBack.ask({ leaps });
    } else if (frame.type === "delivered") this.#arrivals.deliver(frame.seq);
    else if (frame.type === "behind") this.#line.pull(record.cursor);
    // Its echo was lost
    else if (frame.type === "accepted" && frame.seq > record.cursor) this.#line.pull(record.cursor);
    else if (frame.type === "removals") this.#expelSoon(frame.leaves);
    else if (frame.type === "refused") await this.#refused(frame);
    else if (frame.type === "group_info") {
      await this.#arrivals.compare(frame);
      await this.#wayBack.go(frame);
    }
  }

  async #refused(frame: RefusedFrame): Promise<void> {
    const { code, detail, id } = frame;
    if (code === "removal_pending" && Array.isArray(detail.leaves)) this.#expelSoon(detail.leaves.map(Number));
    if (id !== null) {
      const kind = this.ledger.outbox.find(id)?.wish?.kind;
      if (kind === "rejoin" && code === "commit_forbidden") this.#wayBack.unfit();
      if (kind === "reset" && code === "rate_limited") this.#wayBack.forbear(Number(detail.retryAfter ?? 0));
      return this.#departures.refused(frame);
    }
    // It was a question: the same again, later
    this.#line.forgo();
    this.ledger.surroundings.clock.after(Math.max(ASK_AGAIN, Number(detail.retryAfter ?? 0)), () => {
      this.#wayBack.reset();
      if (!this.#line.live) this.#line.pull(this.ledger.record.cursor);
    });
  }

  /** Caught up: sends what waits, or first gets back into a group it lost. */
  async #proceed(): Promise<void> {
    if (this.ledger.record.outdated) await this.#arrivals.lose();
    const { outbox, record } = this.ledger;
    if (this.#arrivals.isWaiting) return;
    if (record.lost) await this.#wayBack.seek();
    if (record.lost && !outbox.open.some(({ wish }) => isWayBack(wish))) this.#wayBack.ask({ leaps: false });
    await this.#departures.pump();
  }

  #expelSoon(leaves: readonly number[]): void {
    const { clock } = this.ledger.surroundings;
    this.#changes.heed(leaves);
    if (leaves.length === 0) return;
    const delay = this.#eager ? 0 : clock.random() * EXPEL_WITHIN;
    this.#eager = false;
    clock.after(delay, () => void this.ledger.turn(() => this.#expel()));
  }

  async #expel(): Promise<void> {
    if (!this.#caughtUp || this.#over) return;
    await this.#changes.expel();
    await this.#proceed();
  }

  #pump(): void {
    this.consent.askAll();
    if (!this.#line.live) return;
    void this.ledger
      .turn(async () => (this.#caughtUp && !this.#over ? this.#proceed() : undefined))
      .finally(() => this.ledger.surroundings.review());
  }
}
