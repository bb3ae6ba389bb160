// Owns getting back into a group this device cannot follow, or was never welcomed to: what the server keeps of it is asked for, and the
// device lets itself in by external commit. Where that is of no use to anybody, the conversation is begun anew.

import type { Head, ServerFrame } from "../../schemas/frames.ts";
import type { Changes } from "./changes.ts";
import { isWayBack } from "./intake.ts";
import type { Ledger } from "./ledger.ts";
import type { Line } from "./line.ts";

/** What led nowhere is tried again after this long, in ms. */
const TRY_AGAIN = 5_000;
/** Devices that find a group beyond repair at the same time wait differently long, in ms: one of them begins anew, the others follow. */
const BEGIN_WITHIN = 1_500;
/** Who was never told title and timer lets those who were go first, in ms. */
const UNTOLD = 4_000;
/** A founder that has not made its first commit for so long is not waited for, in ms. */
const FOUNDER_WITHIN = 60_000;
/** A device that this one does not believe may be believed later; after so many tries somebody put it there. */
const MOST_DISBELIEF = 6;
/** A device that has looked for the way back for so long says so, in ms; after a restart not before it has looked again for a moment. */
const LONG = { ever: 120_000, now: 5_000 };

type GroupInfoAnswer = Extract<ServerFrame, { type: "group_info" }>;

/**
 * What came of an attempt. `unproven`: the key log has to be asked about somebody first. `of_no_use`: now; `beyond_repair`: to anybody, as
 * far as this device can tell.
 */
type Finding = "on_its_way" | "unproven" | "of_no_use" | "beyond_repair";

interface Parts {
  readonly line: Line;
  readonly changes: Changes;
  /** Told, within a turn, when it may be tried again. */
  readonly again: () => Promise<void>;
  /** Told, within a turn, that this generation is to begin. */
  readonly begin: (generation: number) => Promise<void>;
}

/** The way back into one conversation's group. */
export class WayBack {
  readonly #ledger: Ledger;
  readonly #parts: Parts;
  #asked = false;
  #leaps = false;
  /** The key log was read since the last attempt found somebody it did not have. */
  #hasLooked = false;
  #isResting = false;
  /** Where the group stood that was last tried, and that the server would not let this device into. */
  #tried: Head | null = null;
  #unfit: Head | null = null;
  /** The generation that begins if the present one is still beyond repair after a while. */
  #ripe: number | null = null;
  /** No generation is begun before, by the local clock. */
  #notBefore = 0;
  #absentSince: number | null = null;
  #disbelief = 0;
  /** From when on a person is told that this device does not get in, by the local clock; null while it does not look. */
  #tellsFrom: number | null = null;

  constructor(ledger: Ledger, parts: Parts) {
    this.#ledger = ledger;
    this.#parts = parts;
  }

  /** It led nowhere just now, and is tried again later. */
  get isResting(): boolean {
    return this.#isResting;
  }

  /** This device has not got in for long, whether the server keeps it out or nobody can let it in: a person has to know. */
  get isLong(): boolean {
    const { record, surroundings } = this.#ledger;
    return record.lost && this.#tellsFrom !== null && surroundings.clock.now() >= this.#tellsFrom;
  }

  /** It is looked for now; only within a turn of the ledger. */
  async seek(): Promise<void> {
    const { record, surroundings } = this.#ledger;
    const { clock } = surroundings;
    if (this.#tellsFrom !== null && record.soughtAt != null) return;
    const now = clock.now();
    const since = record.soughtAt ?? now;
    if (record.soughtAt == null) {
      const draft = this.#ledger.draft();
      draft.set({ soughtAt: since });
      await this.#ledger.save(draft);
    }
    const wait = Math.max(since + LONG.ever - now, LONG.now);
    this.#tellsFrom = now + wait;
    clock.after(wait, () => {
      surroundings.live.changed();
      surroundings.review();
    });
  }

  /** Nothing that was asked before will be answered. */
  reset(): void {
    this.#asked = false;
  }

  /** Asks what the server keeps of the group, once until there is an answer. `leaps`: what the log still holds before that is of no use. */
  ask({ leaps }: { leaps: boolean }): void {
    if (this.#asked) return;
    this.#leaps = leaps;
    this.#asked = this.#parts.line.send({ type: "group_info" });
  }

  /** The server would not let this device in by what it keeps itself: that belongs to another group than it seats. */
  unfit(): void {
    this.#unfit = this.#tried;
  }

  /** The server wants no new generation for so long, in ms. */
  forbear(wait: number): void {
    this.#notBefore = this.#ledger.surroundings.clock.now() + wait;
  }

  /** Goes back in with the server's answer; only within a turn of the ledger. */
  async go({ bytes, head }: GroupInfoAnswer): Promise<void> {
    const { line } = this.#parts;
    const { record, outbox } = this.#ledger;
    if (!record.lost) return;
    // An answer that comes twice is no second way in: of two commits only the one made last would be known when it comes back
    if (outbox.open.some(({ wish }) => isWayBack(wish))) return this.reset();
    if (bytes !== null && !line.live) return this.#leaps ? this.#leap(head) : this.reset();
    const { group } = this.#ledger;
    // No server goes back to a generation that this device has seen the end of
    if (group?.live != null && head.generation < group.generation) return this.#rest(TRY_AGAIN);
    const found = bytes === null ? this.#lookForFounder(head) : await this.#tryIn({ bytes, head });
    if (found === "on_its_way") this.reset();
    else if (found === "unproven") this.#lookFirst();
    else if (found === "beyond_repair") await this.#begin(head.generation + 1);
    else this.#rest(TRY_AGAIN);
  }

  /** What lies between is lost to this device: it goes on where the group stands now. */
  async #leap({ seq, hash }: Head): Promise<void> {
    const draft = this.#ledger.draft();
    draft.set({ cursor: seq, hash, known: seq, successors: [] });
    await this.#ledger.save(draft);
    this.reset();
    this.#parts.line.pull(seq);
  }

  async #tryIn({ bytes, head }: { bytes: Uint8Array; head: Head }): Promise<Finding> {
    if (this.#unfit?.generation === head.generation && this.#unfit.epoch === head.epoch) return "beyond_repair";
    this.#tried = head;
    const outcome = await this.#parts.changes.rejoin({ groupInfo: bytes, generation: head.generation });
    if (outcome === "on_its_way") return outcome;
    if (outcome !== "untrusted") return "beyond_repair";
    const isUnproven = !this.#hasLooked;
    this.#hasLooked = isUnproven;
    if (isUnproven) return "unproven";
    this.#disbelief += 1;
    return this.#disbelief > MOST_DISBELIEF ? "beyond_repair" : "of_no_use";
  }

  /** There is no group yet, and whoever was to make it cannot, or does not. */
  #lookForFounder({ generation, epoch }: Head): Finding {
    const now = this.#ledger.surroundings.clock.now();
    this.#absentSince ??= now;
    const isGone = this.#parts.changes.isFounderGone || now - this.#absentSince > FOUNDER_WITHIN;
    return generation === 0 && epoch === 0 && isGone ? "beyond_repair" : "of_no_use";
  }

  /** Looks once more after a while, since others have noticed as well, before it begins anew. */
  async #begin(generation: number): Promise<void> {
    const { record, surroundings } = this.#ledger;
    const { clock } = surroundings;
    const wait = this.#notBefore - clock.now();
    if (this.#ripe === generation && wait <= 0) {
      this.#ripe = null;
      // A device that believes somebody less than others do must not begin anew again and again
      this.#disbelief = Number.NEGATIVE_INFINITY;
      this.reset();
      return this.#parts.begin(generation);
    }
    this.#ripe = generation;
    this.#rest(Math.max(clock.random() * BEGIN_WITHIN + (record.introduced ? 0 : UNTOLD), wait));
  }

  #rest(delay: number): void {
    this.#isResting = delay >= TRY_AGAIN;
    this.#ledger.surroundings.clock.after(delay, () => void this.#ledger.turn(() => this.#tryAgain()));
  }

  /** Asks the key log about somebody who is in the group, beside the ledger's turns, and tries again when it has answered. */
  #lookFirst(): void {
    void this.#ledger.surroundings.keys.looked().then(async (looked) => {
      if (looked) await this.#ledger.turn(() => this.#tryAgain());
    });
  }

  async #tryAgain(): Promise<void> {
    this.#isResting = false;
    this.reset();
    await this.#parts.again();
  }
}
