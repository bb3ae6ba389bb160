// Owns an open seal: the store's key while the profile is open, and the changes of what it takes to come by it. Knows no store and no screen.

import { sha256 } from "@noble/hashes/sha2.js";
import type * as v from "valibot";
import type * as body from "../../../schemas/api.ts";
import { fromBase64url, randomBytes, toBase64url } from "../../../schemas/bytes.ts";
import { isRefusal, Refusal } from "../../../schemas/refusal.ts";
import type { Door } from "../api.ts";
import { newSealingKey, sealingKey } from "./cipher.ts";
import { type HeaderPlace, type PasskeyHeader, passkeyOf, type SealHeader, type Way } from "./header.ts";
import { followWay, makeWay, type NewWay, type Opener, openLocal, pass } from "./keys.ts";
import { PASSKEY_BYTES, PASSPHRASE_CHARACTERS } from "./limits.ts";

type Bytes = Uint8Array<ArrayBuffer>;
type Change = v.InferInput<typeof body.ShareChangeBody>;

/** What a device that introduces itself brings along, so that its store is sealed from the first byte. */
export interface Sealing {
  /** For the introduction of this profile's device; from then on the server may have it. @throws {Refusal} as a store's write */
  introduce(): Promise<body.NewShare>;
}

export interface SealOptions {
  readonly headers: HeaderPlace;
  readonly door: Pick<Door, "openShare" | "changeShare">;
  /** Price of a new passphrase, scrypt's N; what keys.ts says unless told. */
  readonly cost?: number;
}

/** An app lock as it stands: it shuts after so many minutes without a touch, and opens by this passkey; null: by its passphrase. */
export interface LockView {
  readonly minutes: number;
  readonly passkey: PasskeyHeader | null;
}

/** What is open: the store's key, and the parts that led to it. */
interface Opened {
  readonly header: SealHeader;
  readonly way: Way;
  readonly secret: Bytes;
  readonly share: Bytes;
  readonly storeKey: Bytes;
}

/** A change the server may or may not have heard of. */
interface Pending {
  readonly change: Change;
  readonly next: NewWay;
}

export class Seal implements Sealing {
  readonly #options: SealOptions;
  #opened: Opened;
  #pending: Pending | null = null;

  private constructor(options: SealOptions, opened: Opened) {
    this.#options = options;
    this.#opened = opened;
  }

  /** For a profile without a header, in which nothing may be yet. Nothing is written or sent before {@link introduce}. */
  static async begin(options: SealOptions): Promise<Seal> {
    const [platformKey, storeKey] = [await newSealingKey(), randomBytes(32)];
    const { way, secret, share } = await makeWay(platformKey, storeKey, null);
    const header: SealHeader = { v: 1, accepted: false, platformKey, ways: [way] };
    return new Seal(options, { header, way, secret, share, storeKey });
  }

  /**
   * Opens a profile with the server's share. Every refusal but not_found says which `way` of the header it was about.
   * @throws {Refusal} forbidden (reason `guarded`) — what opens the lock is needed; (`wrong`, with how many tries are `left` and `retryAfter`
   * in ms) — it was another one; (`locked`) — there was the last; rate_limited (reason `passphrase`) — too early for another try; not_found —
   * the server has never heard of this profile; device_revoked, tenant_suspended; unavailable, internal — no answer
   */
  static async open(options: SealOptions, header: SealHeader, opener: Opener | null): Promise<Seal> {
    for (const way of header.ways) {
      const opened = await open(options, { header, way, opener });
      if (opened === undefined) continue;
      const settled: SealHeader = { ...header, ways: [way] };
      if (header.ways.length > 1) await options.headers.setHeader(settled);
      return new Seal(options, { ...opened, header: settled });
    }
    throw new Refusal("not_found");
  }

  /** A key for the store, for as long as it is open. */
  key(): Promise<CryptoKey> {
    return sealingKey(this.#opened.storeKey);
  }

  /** Null without an app lock. */
  get lock(): LockView | null {
    const { lock } = this.#opened.way;
    return lock && { minutes: lock.minutes, passkey: passkeyOf(lock) };
  }

  introduce: Sealing["introduce"] = async () => {
    const { header, secret, share } = this.#opened;
    await this.#options.headers.setHeader(header);
    return { unlockHash: hashOf(secret), share: toBase64url(share) };
  };

  /** The server was heard to have let this profile's device in. */
  async accepted(): Promise<void> {
    if (this.#opened.header.accepted) return;
    const header = { ...this.#opened.header, accepted: true };
    this.#opened = { ...this.#opened, header };
    await this.#options.headers.setHeader(header);
  }

  /**
   * Puts the app lock on, or another passphrase or passkey in the place of `current`.
   * @throws {Refusal} malformed (reason `passphrase`) — too short; (`secret`) — no 32 bytes of a passkey; as {@link open} when `current` is not
   * the present one; unavailable — it may be on or not, and trying again makes it so
   */
  async guard(wanted: { opener: Opener; minutes: number; current: Opener | null }): Promise<void> {
    const { opener, minutes, current } = wanted;
    if (typeof opener === "string") {
      if (opener.length < PASSPHRASE_CHARACTERS) throw new Refusal("malformed", { reason: "passphrase" });
    } else if (opener.secret.length !== PASSKEY_BYTES) throw new Refusal("malformed", { reason: "secret" });
    await this.#change({ opener, minutes, cost: this.#options.cost }, current);
  }

  /** Takes the app lock off. @throws {Refusal} as {@link guard} */
  unguard(current: Opener): Promise<void> {
    return this.#change(null, current);
  }

  /** Changes after how many minutes without a touch it shuts. */
  async setMinutes(minutes: number): Promise<void> {
    if (this.#pending !== null) await this.#settle(this.#pending);
    const { header, way } = this.#opened;
    if (way.lock === null) return;
    const changed: Way = { ...way, lock: { ...way.lock, minutes } };
    await this.#keep({ ...header, ways: [changed] });
    this.#opened = { ...this.#opened, way: changed };
  }

  async #change(lock: Parameters<typeof makeWay>[2], current: Opener | null): Promise<void> {
    if (this.#pending !== null) await this.#settle(this.#pending);
    const { header, way, secret, share, storeKey } = this.#opened;
    // Asked of the server, where wrong ones are counted
    if (way.lock !== null && (await open(this.#options, { header, way, opener: current })) === undefined) {
      throw new Refusal("not_found");
    }
    const next = await makeWay(header.platformKey, storeKey, lock);
    const change: Change = {
      secret: toBase64url(secret),
      share: toBase64url(share),
      next: {
        unlockHash: hashOf(next.secret),
        share: toBase64url(next.share),
        verifierHash: next.passed && hashOf(next.passed.verifier),
      },
    };
    await this.#options.headers.setHeader({ ...header, ways: [next.way, way] });
    this.#pending = { change, next };
    await this.#settle(this.#pending);
  }

  /** Brings a change to its end, also one that was answered by nobody the first time. */
  async #settle({ change, next }: Pending): Promise<void> {
    const { header, way, storeKey } = this.#opened;
    try {
      await this.#options.door.changeShare(change);
    } catch (error) {
      if (isRefusal(error) && UNCERTAIN.has(error.code)) throw error;
      this.#pending = null;
      await this.#keep({ ...header, ways: [way] });
      throw error;
    }
    this.#pending = null;
    const { secret, share } = next;
    this.#opened = { header, way: next.way, secret, share, storeKey };
    await this.#keep({ ...header, ways: [next.way] });
  }

  async #keep(header: SealHeader): Promise<void> {
    await this.#options.headers.setHeader(header);
    this.#opened = { ...this.#opened, header };
  }
}

/** Answers after which nobody knows whether something was done. */
const UNCERTAIN: ReadonlySet<string> = new Set(["unavailable", "internal"]);

interface Attempt {
  readonly header: SealHeader;
  readonly way: Way;
  readonly opener: Opener | null;
}

/** Follows one way; `undefined` when the server has never heard of it. */
async function open({ door }: SealOptions, attempt: Attempt): Promise<Opened | undefined> {
  const { header, way } = attempt;
  try {
    return await follow(door, attempt);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    if (error.code === "not_found") return undefined;
    throw new Refusal(error.code, { ...error.detail, way: header.ways.indexOf(way) });
  }
}

async function follow(door: SealOptions["door"], { header, way, opener }: Attempt): Promise<Opened> {
  const passed = way.lock === null || opener === null ? null : await pass(opener, way.lock);
  // Where a change was cut off, only the server knows which of two locks is on: it is asked first, which is no try
  if (way.lock !== null && passed === null && header.ways.length === 1) {
    throw new Refusal("forbidden", { reason: "guarded" });
  }
  const local = await openLocal(header.platformKey, way);
  if (local === undefined) throw new Error("the seal's header is damaged");
  const { secret } = local;
  const verifier = passed && toBase64url(passed.verifier);
  const answer = await door.openShare({ secret: toBase64url(secret), verifier });
  const share = fromBase64url(answer.share) ?? new Uint8Array();
  const storeKey = await followWay(way, { share, local, passed });
  // A server that answers with another share than it was given
  if (storeKey === undefined) throw new Error("the share does not open the store");
  return { header, way, secret, share, storeKey };
}

function hashOf(secret: Bytes): string {
  return toBase64url(sha256(secret));
}
