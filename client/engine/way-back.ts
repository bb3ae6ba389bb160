// Owns getting back into a group this device cannot follow, or was never welcomed to: what the server keeps of it is asked for, and the
// device lets itself in by external commit.

import type { ServerFrame } from "../../schemas/frames.ts";
import type { Changes } from "./changes.ts";
import type { Ledger } from "./ledger.ts";
import type { Line } from "./line.ts";

/** What led nowhere is tried again after this long, in ms. */
const TRY_AGAIN = 5_000;

/** The way back into one conversation's group. */
export class WayBack {
  readonly #ledger: Ledger;
  readonly #line: Line;
  readonly #changes: Changes;
  /** Told, within a turn, when it may be tried again. */
  readonly #again: () => Promise<void>;
  #asked = false;
  /** The key log was read since the last attempt found somebody it did not have. */
  #hasLooked = false;
  #isResting = false;

  constructor(ledger: Ledger, parts: { line: Line; changes: Changes; again: () => Promise<void> }) {
    this.#ledger = ledger;
    this.#line = parts.line;
    this.#changes = parts.changes;
    this.#again = parts.again;
  }

  /** It led nowhere just now, and is tried again later. */
  get isResting(): boolean {
    return this.#isResting;
  }

  /** Nothing that was asked before will be answered. */
  reset(): void {
    this.#asked = false;
  }

  /** Asks what the server keeps of the group, once until there is an answer. */
  ask(): void {
    this.#asked ||= this.#line.send({ type: "group_info" });
  }

  /** Goes back in with the server's answer; only within a turn of the ledger. */
  async go({ bytes, head }: Extract<ServerFrame, { type: "group_info" }>): Promise<void> {
    const { record, surroundings } = this.#ledger;
    if (!record.lost) return;
    if (bytes !== null && !this.#line.live) {
      // What lies between is lost to this device: it goes on where the group stands now
      const draft = this.#ledger.draft();
      draft.set({ cursor: head.seq, hash: head.hash, known: head.seq });
      await this.#ledger.save(draft);
      this.reset();
      this.#line.pull(head.seq);
      return;
    }
    const kept = bytes === null ? null : { groupInfo: bytes, generation: head.generation };
    const outcome = kept === null ? "nowhere" : await this.#changes.rejoin(kept);
    const mayPass = outcome === "untrusted" && !this.#hasLooked;
    this.#hasLooked = mayPass;
    if (outcome === "on_its_way") return this.reset();
    if (mayPass) return this.#lookFirst();
    this.#isResting = true;
    surroundings.clock.after(TRY_AGAIN, () => void this.#ledger.turn(() => this.#tryAgain()));
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
    await this.#again();
  }
}
