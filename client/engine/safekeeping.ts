// Owns that nothing is lost when a device is: the recovery phrase, the backup behind it, and when it is brought up to date. Knows neither how
// backups are sealed nor what is in them.

import type { DeviceId } from "../../schemas/ids.ts";
import type { Api, DoorOptions } from "./api.ts";
import type { ChangedRows } from "./backup/changed.ts";
import { engineRows } from "./backup/engine-rows.ts";
import type { Outcome } from "./backup/keeper.ts";
import type { Clock } from "./clock.ts";
import { late } from "./late.ts";
import type { AccountRecord } from "./records.ts";
import { dropPhrase, loadPhrase, type PhraseRecord, savePhrase } from "./recovery/phrase-record.ts";
import { createEnrolment, type RecoveryEnrolment } from "./recovery/recovery.ts";
import type { Store } from "./store.ts";
import type { Tokens } from "./token.ts";
import { createVault } from "./vault.ts";
import type { SafekeepingView } from "./view.ts";

/** A change is in the backup after this long, in ms; changes in between go along. */
const CALM = 60_000;
/** After a failure it is tried again after at least and at most so long, in ms. */
const AGAIN = { least: 60_000, most: 3_600_000 };

export interface SafekeepingOptions extends DoorOptions {
  readonly store: Store;
  /** What has changed in the store; without it every run looks at everything. */
  readonly rows?: ChangedRows;
  readonly account: () => AccountRecord;
  readonly tokens: Tokens;
  readonly api: Pick<Api, "devices">;
  readonly clock: Clock;
  /** The server's time in ms. */
  readonly now: () => number;
  /** Something about {@link Safekeeping.state} is new. */
  readonly changed: () => void;
  readonly fault: (error: unknown) => void;
}

/** The safekeeping of one profile. */
export class Safekeeping {
  readonly #options: SafekeepingOptions;
  readonly #enrolment: RecoveryEnrolment;
  #phrase: PhraseRecord | undefined;
  #backup: SafekeepingView["backup"];
  #running: Promise<void> | null = null;
  #cancel: (() => void) | null = null;
  /** Something has changed since the last run began. */
  #isStale = false;
  #failures = 0;
  #closed = false;
  /** The member has a phrase that this device does not know. */
  #isElsewhere = false;

  private constructor(options: SafekeepingOptions, phrase: PhraseRecord | undefined) {
    const { server, tokens, fetch } = options;
    this.#options = options;
    this.#enrolment = createEnrolment({ server, tokens, ...(fetch !== undefined && { fetch }) });
    this.#phrase = phrase;
    this.#backup = phrase === undefined ? "none" : "waiting";
  }

  /** Opens it; what has changed while the profile was closed goes into the backup after a while. */
  static async load(options: SafekeepingOptions): Promise<Safekeeping> {
    const safekeeping = new Safekeeping(options, await loadPhrase(options.store));
    safekeeping.note();
    return safekeeping;
  }

  get state(): SafekeepingView {
    const { words } = this.#phrase ?? {};
    const unknown = this.#isElsewhere ? "elsewhere" : "none";
    return {
      phrase: words === undefined ? unknown : words === null ? "confirmed" : "unconfirmed",
      backup: this.#backup,
    };
  }

  /** What a linked device needs to keep the backup when this one is gone. */
  get handover(): { lookup: PhraseRecord["lookup"]; backupKey: PhraseRecord["backupKey"] } | null {
    return this.#phrase === undefined ? null : { lookup: this.#phrase.lookup, backupKey: this.#phrase.backupKey };
  }

  /**
   * The words to write down: those not confirmed yet, or new ones that take the place of any earlier phrase.
   * @throws {Refusal} unavailable — and nothing has changed
   */
  async words(): Promise<readonly string[]> {
    if (this.#phrase?.words != null) return this.#phrase.words;
    const { createPhrase, recoveryKeys } = await late(() => import("./recovery/phrase.ts"));
    const words = createPhrase();
    const keys = await recoveryKeys(words);
    const { tenant, member } = this.#options.account();
    await this.#enrolment.enrol({ tenant: tenant.id, member: member.id }, keys);
    await this.#keep({ lookup: keys.lookup, backupKey: keys.backupKey, words });
    this.note();
    return words;
  }

  /** Whether these are the words at these places, counted from 1. If so the phrase counts as written down and is forgotten here. */
  async confirm(entered: readonly { readonly place: number; readonly word: string }[]): Promise<boolean> {
    const phrase = this.#phrase;
    if (phrase?.words == null) return phrase !== undefined;
    const { words } = phrase;
    const right = entered.every(({ place, word }) => words[place - 1] === word.trim().toLowerCase());
    if (!right || entered.length < 3) return false;
    await this.#keep({ ...phrase, words: null });
    return true;
  }

  /** Learns whether the member has a phrase that this device does not know. @throws {Refusal} unavailable */
  async look(): Promise<void> {
    if (this.#phrase !== undefined || this.#closed) return;
    this.#find((await this.#enrolment.enrolled()) !== null);
  }

  /** Something that belongs into the backup has changed. */
  note(): void {
    if (this.#phrase === undefined || this.#closed) return;
    this.#isStale = true;
    if (this.#backup === "current") this.#become("waiting");
    if (this.#running === null) this.#arm(CALM);
  }

  /** Brings the backup up to date now. Callers at the same time share one run. */
  run(): Promise<void> {
    this.#cancel?.();
    this.#cancel = null;
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
      if (this.#backup === "waiting" && !this.#closed) this.#arm(CALM);
    });
    return this.#running;
  }

  /** Waits for what is under way and does nothing more. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await this.#running;
  }

  #arm(delay: number): void {
    this.#cancel ??= this.#options.clock.after(delay, () => void this.run());
  }

  async #run(): Promise<void> {
    const phrase = this.#phrase;
    if (phrase === undefined || this.#closed) return;
    // A change from now on may come too late for this one
    this.#isStale = false;
    try {
      const enrolled = await this.#enrolment.enrolled();
      if (enrolled?.lookup !== phrase.lookup) return await this.#forget(enrolled !== null);
      let outcome = await this.#attempt(phrase, false);
      // Another device wrote at the same time: look who keeps it
      if (outcome.kind === "contested") outcome = await this.#attempt(phrase, false);
      if (outcome.kind === "kept_elsewhere" && (await this.#isGone(outcome.keeper))) {
        outcome = await this.#attempt(phrase, true);
      }
      this.#failures = 0;
      if (outcome.kind === "kept_elsewhere") this.#become("elsewhere");
      else if (outcome.kind === "rolled_back" || outcome.kind === "unreadable") this.#become("distrusted");
      else this.#become(outcome.kind === "contested" || this.#isStale ? "waiting" : "current");
    } catch (error) {
      this.#options.fault(error);
      this.#failures += 1;
      if (!this.#closed) this.#arm(Math.min(AGAIN.least * 2 ** (this.#failures - 1), AGAIN.most));
      this.#become("waiting");
    }
  }

  async #attempt({ backupKey }: PhraseRecord, takeOver: boolean): Promise<Outcome> {
    const { store, rows, tokens, account, now, fetch, server } = this.#options;
    const { tenant, member, device } = account();
    const vault = createVault({ server, tokens, shelf: "backup", ...(fetch !== undefined && { fetch }) });
    // Timers are noted when rows are restored, never when they are kept
    const portable = engineRows({ note: () => undefined });
    const { keepBackup } = await late(() => import("./backup/keeper.ts"));
    const { packMembership } = await late(() => import("./backup/membership.ts"));
    const keys = { tenant: tenant.id, member: member.id, backupKey };
    const options = { keys, device, store, shelf: "backup", vault, portable, now } as const;
    return keepBackup({ ...options, ...(rows && { changed: rows }) }, { account: packMembership(account()), takeOver });
  }

  /** The device that kept the backup was revoked, or is none of the member's: somebody else must. */
  async #isGone(keeper: DeviceId): Promise<boolean> {
    const device = (await this.#options.api.devices()).find(({ id }) => id === keeper);
    return device === undefined || device.revokedAt !== null;
  }

  async #keep(phrase: PhraseRecord): Promise<void> {
    await savePhrase(this.#options.store, phrase);
    this.#phrase = phrase;
    if (this.#backup === "none") this.#backup = "waiting";
    this.#options.changed();
  }

  /** Another device has put a new phrase in place of this one: its backup must not be touched. */
  async #forget(isElsewhere: boolean): Promise<void> {
    await dropPhrase(this.#options.store);
    this.#phrase = undefined;
    this.#find(isElsewhere);
    this.#become("none");
  }

  #find(isElsewhere: boolean): void {
    if (this.#isElsewhere === isElsewhere) return;
    this.#isElsewhere = isElsewhere;
    this.#options.changed();
  }

  #become(backup: SafekeepingView["backup"]): void {
    if (this.#backup === backup) return;
    this.#backup = backup;
    this.#options.changed();
  }
}
