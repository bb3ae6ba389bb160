// Owns how a member gains a device, as people follow it: a code shown or entered, one at a time, and coming back by the words or a passkey. Knows
// neither how devices agree nor what they hand over.

import { LIMITS } from "../../schemas/policy.ts";
import { isRefusal, Refusal, type RefusalCode } from "../../schemas/refusal.ts";
import { loadAccount } from "./account.ts";
import type { DoorOptions } from "./api.ts";
import type { Clock } from "./clock.ts";
import { late } from "./late.ts";
import { type Entered, loadEntered, saveEntered } from "./linking/entered.ts";
import { type Handing, loadHanding, saveHanding } from "./linking/handing.ts";
import type { Showing } from "./linking/linking.ts";
import { giveUpHistory, isHistoryPending } from "./linking/pending.ts";
import type { AccountRecord } from "./records.ts";
import type { ComeBackOptions } from "./recovery/come-back.ts";
import type { Safekeeping } from "./safekeeping.ts";
import type { Sealing } from "./seal/seal.ts";
import type { Store } from "./store.ts";
import type { Tokens } from "./token.ts";
import type { LinkingView, PasskeyAnswer } from "./view.ts";

/** Few need it, and seldom: it is loaded when somebody does. */
const loadLinking = async () => ({
  ...(await late(() => import("./linking/code.ts"))),
  ...(await late(() => import("./linking/linking.ts"))),
  ...(await late(() => import("./linking/hand-over.ts"))),
  ...(await late(() => import("./linking/delivery.ts"))),
});

/** A history that was cut off on its way goes on after this long, in ms. */
const AGAIN = 5_000;
/** What a later attempt may get past. */
const PASSING: ReadonlySet<RefusalCode> = new Set(["unavailable", "rate_limited", "internal", "quota"]);

export interface GainingOptions {
  readonly door: DoorOptions;
  readonly store: Store;
  readonly sealing: Sealing | undefined;
  readonly clock: Clock;
  /** {@link Gaining.view} is another. */
  readonly changed: () => void;
  /** This profile is a device now, and has its history. */
  readonly gained: (account: AccountRecord) => Promise<void>;
}

/** What the device that has the account gives. */
export interface Giver {
  readonly account: AccountRecord;
  readonly tokens: Tokens;
  readonly safekeeping: Pick<Safekeeping, "handover">;
  /** The server's time in ms. */
  readonly now: () => number;
}

interface Offer {
  readonly giver: Giver;
  readonly showing: Showing;
  readonly expiresAt: number;
}

/** Gaining devices for one profile. */
export class Gaining {
  readonly #options: GainingOptions;
  #view: LinkingView | null = null;
  #offer: Offer | null = null;
  #cancel: (() => Promise<void>) | null = null;
  /** What a person has confirmed, until all of it is uploaded. */
  #handing: Handing | null = null;
  /** The code that was entered here, until it is of no use any more. */
  #entered: Entered | null = null;
  /** What is being done with it; kept when it has come to a good end. */
  #following: { readonly entered: Entered; readonly done: Promise<void> } | null = null;

  constructor(options: GainingOptions) {
    this.#options = options;
  }

  /** What a person is shown; null while nothing is under way. */
  get view(): LinkingView | null {
    return this.#view;
  }

  /** Shows a code. Resolves once it can be entered. @throws {Refusal} conflict — a history is being handed over; unavailable */
  async offer(giver: Giver): Promise<void> {
    if (this.#handing !== null) throw new Refusal("conflict", { reason: "handing" });
    await this.cancel();
    const { door, clock } = this.#options;
    const { showCode, linkAddress } = await loadLinking();
    const showing = await showCode({ ...door, clock, tokens: giver.tokens });
    const expiresAt = clock.now() + LIMITS.linkLife;
    const offer = { giver, showing, expiresAt };
    this.#offer = offer;
    this.#cancel = showing.cancel;
    const { code } = showing;
    this.#show({ kind: "shown", code, address: linkAddress(door.server, code), expiresAt });
    void this.#await(offer);
  }

  /**
   * Hands over to the device that has answered: it may enter at once, and its history follows. Resolves when that has wholly been uploaded; cut off,
   * {@link resume} goes on. @throws {Refusal} conflict — none has answered; not_found — it is over, or was called off; quota, unavailable
   */
  async confirm(): Promise<void> {
    const [offer, view] = [this.#offer, this.#view];
    if (offer === null || view?.kind !== "answered") throw new Refusal("conflict", { reason: "nobody_answered" });
    const { name } = view;
    const { giver, showing } = offer;
    this.#show({ kind: "handing", name, done: 0, total: 0 });
    await this.#guard(async () => {
      const { handOff } = await loadLinking();
      const { handing, isLeft } = await handOff({ ...this.#options, giver, showing, name });
      this.#offer = null;
      this.#cancel = null;
      // It may have been called off meanwhile
      if (this.#view?.kind === "handing") this.#handing = handing;
      await this.#deliver(giver, handing, isLeft);
    });
  }

  /** Reads what an earlier run has left undone. `isIn`: the profile is a device already. */
  async load(isIn: boolean): Promise<void> {
    const { store } = this.#options;
    this.#handing = (await loadHanding(store)) ?? null;
    this.#entered = (await loadEntered(store)) ?? null;
    if (isIn) await this.forget();
  }

  /** Goes on with what an earlier run was handing over. @throws {Refusal} as {@link confirm} */
  async resume(giver: Giver): Promise<void> {
    const handing = this.#handing;
    if (handing === null) return;
    if (handing.state !== "uploading") {
      this.#handing = null;
      return (await loadLinking()).settle({ ...this.#options, giver, handing });
    }
    this.#show({ kind: "handing", name: handing.name, done: 0, total: 0 });
    await this.#guard(() => this.#deliver(giver, handing, false));
  }

  /** Enters a code; resolves once the device is in and the history is here. @throws {Refusal} malformed — no code; any that ends linking */
  async enter(text: string, deviceName: string): Promise<void> {
    const { readCode, linkKeys, takeCode } = await loadLinking();
    const code = readCode(text);
    if (code === undefined) throw new Refusal("malformed", { reason: "link_code" });
    const keys = await linkKeys(code);
    if (this.#entered?.link === keys.id) return this.goOn();
    await this.cancel();
    const { door, clock } = this.#options;
    return this.#follow(await takeCode({ ...door, clock }, { keys, name: deviceName }));
  }

  /** Goes on with the code that was entered here last, if that was not called off. @throws {Refusal} as {@link enter} */
  async goOn(): Promise<void> {
    if (this.#entered !== null) await this.#follow(this.#entered);
  }

  /** Comes back by the words; resolves with the account. @throws {Refusal} malformed — a word is wrong; not_found, forbidden, unavailable: as coming back is */
  async recover(phrase: string, deviceName: string): Promise<AccountRecord> {
    // What few ever need is loaded when they do: the list of words is as heavy as a screen
    const { readPhrase } = await late(() => import("./recovery/phrase.ts"));
    const { comeBack } = await late(() => import("./recovery/come-back.ts"));
    const words = readPhrase(phrase);
    if (words === undefined) throw new Refusal("malformed", { reason: "phrase" });
    return this.#comeBack(deviceName, (options) => comeBack(options, words));
  }

  /** Comes back by a passkey; resolves with the account. @throws {Refusal} not_found, forbidden, token_expired, unavailable: as coming back is */
  async recoverByPasskey(answer: PasskeyAnswer, deviceName: string): Promise<AccountRecord> {
    const { comeBackByPasskey } = await late(() => import("./recovery/come-back.ts"));
    return this.#comeBack(deviceName, (options) => comeBackByPasskey(options, answer));
  }

  /** Resolves when nothing is missing any more of a history that was handed over, or what is missing is gone for good. */
  async arrive(): Promise<void> {
    const { door, store } = this.#options;
    if (this.#view?.kind !== "arriving") this.#show({ kind: "arriving", done: 0, total: 0 });
    while (await isHistoryPending(store)) {
      try {
        const { fetchHistory } = await loadLinking();
        await fetchHistory({ ...door, store, clock: this.#options.clock, onProgress: this.#arriving });
      } catch (error) {
        if (!isRefusal(error)) throw error;
        if (!PASSING.has(error.code)) await giveUpHistory(store);
        else await this.#pause(AGAIN);
      }
    }
    this.#show(null);
  }

  /** Calls off what is under way, and shows nothing any more. A device that is in already goes on without what has not arrived of its history. */
  async cancel(): Promise<void> {
    const [cancel, entered, handing] = [this.#cancel, this.#entered, this.#handing];
    const isArriving = this.#view?.kind === "arriving";
    this.#cancel = null;
    this.#offer = null;
    this.#handing = null;
    this.#show(null);
    // It is destroyed as soon as what is under way has come to an end, or when this profile is next opened
    if (handing !== null) await saveHanding(this.#options.store, { ...handing, state: "dropped" });
    if (isArriving) await this.#decline();
    else {
      this.#following = null;
      await this.forget();
    }
    if (cancel !== null) await cancel();
    else if (entered !== null && !isArriving) await this.#leave(entered);
  }

  /** Goes without what has not arrived of a history. */
  async #decline(): Promise<void> {
    const { door, store, clock } = this.#options;
    try {
      await (await loadLinking()).declineHistory({ ...door, store, clock });
    } catch (error) {
      if (!isRefusal(error)) throw error;
      // The vault destroys it in time
      await giveUpHistory(store);
    }
  }

  /** Calls off a code that has only just been found in the profile. */
  async #leave(entered: Entered): Promise<void> {
    const { door, clock } = this.#options;
    const { enterCode } = await loadLinking();
    await enterCode({ ...door, clock }, entered).close();
  }

  /** What was entered is followed once at a time. */
  #follow(entered: Entered): Promise<void> {
    if (this.#following?.entered === entered) return this.#following.done;
    this.#entered = entered;
    const done = this.#bringIn(entered).catch((error: unknown) => {
      // What was called off says nothing more
      if (this.#isWanted(entered)) {
        this.#following = null;
        this.#end(error);
      }
      throw error;
    });
    this.#following = { entered, done };
    return done;
  }

  #isWanted(entered: Entered): boolean {
    return this.#following?.entered === entered;
  }

  /** From an entered code to a device with its history. Until it is in, a reload goes on from the same code, with the same digits. */
  async #bringIn(entered: Entered): Promise<void> {
    const { door, store, sealing, clock, gained } = this.#options;
    const { enterCode, takeOver } = await loadLinking();
    // The way to what is kept is durable before anything is
    const share = await sealing?.introduce();
    if (!this.#isWanted(entered)) throw new Refusal("not_found");
    const entering = enterCode({ ...door, clock }, entered, share);
    this.#cancel = entering.close;
    this.#show({ kind: "entering" });
    await saveEntered(store, entered);
    try {
      const digits = await entering.agreed();
      if (!this.#isWanted(entered)) throw new Refusal("not_found");
      this.#show({ kind: "entered", digits });
      const handover = await entering.confirmed();
      if (!this.#isWanted(entered)) throw new Refusal("not_found");
      this.#cancel = null;
      this.#show({ kind: "arriving", done: 0, total: 0 });
      await takeOver({ ...door, store, sealing, clock, deviceName: entered.name }, handover);
    } catch (error) {
      if (isRefusal(error) && !PASSING.has(error.code)) await this.forget(entered);
      throw error;
    }
    await this.forget(entered);
    await entering.close();
    await this.arrive();
    await gained(await this.#account());
  }

  /** What was entered is of no use any more, unless another code was since. */
  async forget(entered = this.#entered): Promise<void> {
    if (entered === null || this.#entered !== entered) return;
    this.#entered = null;
    await saveEntered(this.#options.store, null);
  }

  /** Uploads what was confirmed, and shows how far that is. */
  async #deliver(giver: Giver, handing: Handing, isLeft: boolean): Promise<void> {
    const { name } = handing;
    const { deliver } = await loadLinking();
    await deliver({ ...this.#options, giver, handing }, isLeft, {
      isCalledOff: () => this.#handing !== handing,
      onProgress: (progress) => this.#handing === handing && this.#show({ kind: "handing", name, ...progress }),
    });
    this.#handing = null;
    this.#show({ kind: "handed", name });
  }

  #pause(delay: number): Promise<void> {
    return new Promise((resolve) => this.#options.clock.after(delay, resolve));
  }

  readonly #arriving = (progress: { readonly done: number; readonly total: number }): void =>
    this.#show({ kind: "arriving", ...progress });

  async #await(offer: Offer): Promise<void> {
    const { showing, expiresAt } = offer;
    try {
      const { name, digits } = await showing.answered();
      if (this.#offer === offer) this.#show({ kind: "answered", name, digits, expiresAt });
    } catch (error) {
      if (this.#offer === offer) this.#end(error);
    }
  }

  /** Runs a step after which linking is over when it fails; one that was called off says nothing more. */
  async #guard<Result>(step: () => Promise<Result>): Promise<Result> {
    try {
      return await step();
    } catch (error) {
      if (this.#view !== null) this.#end(error);
      throw error;
    }
  }

  #end(error: unknown): void {
    this.#offer = null;
    this.#handing = null;
    this.#cancel = null;
    this.#show({ kind: "over", code: isRefusal(error) ? error.code : "internal" });
  }

  async #comeBack(deviceName: string, come: (options: ComeBackOptions) => Promise<unknown>): Promise<AccountRecord> {
    const { door, store, sealing, clock } = this.#options;
    try {
      await come({ ...door, store, sealing, clock, deviceName, onProgress: this.#arriving });
      return await this.#account();
    } finally {
      this.#show(null);
    }
  }

  async #account(): Promise<AccountRecord> {
    const account = await loadAccount(this.#options.store);
    if (account === undefined) throw new Refusal("internal", { reason: "account" });
    return account;
  }

  #show(view: LinkingView | null): void {
    if (this.#view === view) return;
    this.#view = view;
    this.#options.changed();
  }
}
