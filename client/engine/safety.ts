// Owns what a person can find out about another one's key: the number to compare, since when it is known, and whether it was compared. Decides
// nothing about messages: a key that is not the pinned one is never believed anyway.

import type { MemberId } from "../../schemas/ids.ts";
import { Refusal } from "../../schemas/refusal.ts";
import type { People } from "./people.ts";
import { type AccountRecord, Batch } from "./records.ts";
import { compareCode, type Identified, safetyCode, safetyNumber } from "./safety-number.ts";
import type { Store } from "./store.ts";
import type { Trust } from "./trust.ts";
import type { KeyState, SafetyView, ScanOutcome } from "./view.ts";

export interface SafetyOptions {
  readonly store: Store;
  readonly people: Pick<People, "key" | "isContradicted">;
  readonly trust: Trust;
  readonly account: () => AccountRecord;
  /** The server's time in ms. */
  readonly now: () => number;
  /** A person decides: the other devices are to hear of it, from the same write on. */
  readonly decide: (batch: Batch, member: MemberId) => void;
  /** What was decided is durable. */
  readonly decided: () => void;
}

/** The safety numbers of one profile. */
export class Safety {
  readonly #options: SafetyOptions;

  constructor(options: SafetyOptions) {
    this.#options = options;
  }

  /** @throws {Refusal} not_found — no key is known of this member */
  of(member: MemberId): SafetyView {
    const { people, trust } = this.#options;
    const state = trust.of(member);
    const { mine, theirs } = this.#both(member);
    return {
      number: safetyNumber(mine, theirs),
      code: safetyCode(mine, theirs),
      state: state?.state ?? "unknown",
      since: state?.since ?? this.#options.now(),
      verifiedAt: state?.state === "verified" ? state.verifiedAt : null,
      wasVerified: state?.state === "changed" && state.wasVerified,
      contradicted: people.isContradicted(member),
    };
  }

  /** A person has compared the number, or takes that back. @throws {Refusal} not_found — no key is known of this member */
  async verify(member: MemberId, isVerified: boolean): Promise<void> {
    const seen = { member, identityKey: this.#key(member), now: this.#options.now() };
    await this.#change((batch) => {
      this.#options.trust.see(batch, seen);
      if (isVerified) this.#options.trust.verify(batch, seen);
      else this.#options.trust.accept(batch, seen);
      this.#options.decide(batch, member);
    });
    this.#options.decided();
  }

  /** Compares what was scanned from this member's screen; a match counts as compared. @throws {Refusal} not_found — no key is known of this member */
  async scan(member: MemberId, scanned: string): Promise<ScanOutcome> {
    const { mine, theirs } = this.#both(member);
    const outcome = compareCode(scanned, { me: mine, peer: theirs });
    if (outcome === "match") await this.verify(member, true);
    return outcome;
  }

  /** How the key of a member stands. */
  stateOf(member: MemberId): KeyState {
    return this.#options.trust.of(member)?.state ?? "unknown";
  }

  #both(member: MemberId): { mine: Identified; theirs: Identified } {
    const { tenant, member: me, identityKeys } = this.#options.account();
    return {
      mine: { tenant: tenant.id, member: me.id, identityKey: identityKeys.publicKey },
      theirs: { tenant: tenant.id, member, identityKey: this.#key(member) },
    };
  }

  #key(member: MemberId): Uint8Array {
    const key = this.#options.people.key(member);
    if (key === null) throw new Refusal("not_found");
    return key;
  }

  async #change(work: (batch: Batch) => void): Promise<void> {
    const batch = new Batch();
    work(batch);
    await this.#options.store.write(batch.writes);
    this.#options.trust.settle();
  }
}
