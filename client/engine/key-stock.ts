// Owns this device's key packages: that the mailbox never runs out of them, and that a private part is kept exactly as long as it may be needed.

import { toBase64url } from "../../schemas/bytes.ts";
import type { Api } from "./api.ts";
import type { Joined } from "./group/join.ts";
import { createKeyPackages, type OwnKeyPackage } from "./group/key-packages.ts";
import type { Me } from "./group/state.ts";
import { type Batch, decodeRecord, encodeRecord } from "./records.ts";
import type { ServerTime } from "./server-time.ts";
import type { Store } from "./store.ts";

const LOW_WATER = 20;
const FULL = 50;
const DAY = 86_400_000;
/** A last-resort package is used again and again: it is renewed well before it expires. */
const RENEW_BEFORE = 30 * DAY;
/** A welcome may have waited in the mailbox for as long as its key package was alive, and a little longer. */
const KEEP_AFTER = 7 * DAY;

interface Kept {
  readonly privateRecord: Uint8Array;
  readonly expiresAt: number;
  readonly lastResort: boolean;
}

/** The stock of one device. */
export class KeyStock {
  readonly #store: Store;
  readonly #api: Api;
  readonly #me: Me;
  readonly #time: ServerTime;
  #filling: Promise<void> | null = null;

  constructor({ store, api, me, time }: { store: Store; api: Api; me: Me; time: ServerTime }) {
    this.#store = store;
    this.#api = api;
    this.#me = me;
    this.#time = time;
  }

  /** Nothing is being made or handed over. */
  get idle(): boolean {
    return this.#filling === null;
  }

  /** Makes what the mailbox lacks. Callers at the same time share one filling. @throws {Refusal} as {@link Api.stockKeyPackages} */
  fill(has: { stock: number; lastResort?: boolean }): Promise<void> {
    this.#filling ??= this.#fill(has).finally(() => {
      this.#filling = null;
    });
    return this.#filling;
  }

  /** The private part of a key package; `undefined` when it was used up or never ours. */
  async privateRecord(ref: string): Promise<Uint8Array | undefined> {
    const kept = await this.#store.get("keypackages", ref);
    return kept === undefined ? undefined : decodeRecord<Kept>(kept).privateRecord;
  }

  /** Deletes what a welcome used up, in the write that enters the group. */
  use({ ref, lastResort }: Pick<Joined, "ref" | "lastResort">, batch: Batch): void {
    if (!lastResort) batch.delete("keypackages", ref);
  }

  async #fill({ stock, lastResort }: { stock: number; lastResort?: boolean }): Promise<void> {
    const renew = lastResort === false || (await this.#sweep());
    const now = this.#time.now();
    const made: OwnKeyPackage[] = [];
    if (stock < LOW_WATER) {
      made.push(...(await createKeyPackages({ me: this.#me, count: FULL - stock, lastResort: false, now })));
    }
    if (renew) made.push(...(await createKeyPackages({ me: this.#me, count: 1, lastResort: true, now })));
    if (made.length === 0) return;
    await this.#store.write(
      made.map(({ ref, privateRecord, expiresAt, lastResort: last }) => ({
        table: "keypackages",
        key: ref,
        value: encodeRecord({ privateRecord, expiresAt, lastResort: last }),
      })),
    );
    await this.#api.stockKeyPackages(
      made.map(({ publicBytes, expiresAt, lastResort: last }) => ({
        bytes: toBase64url(publicBytes),
        expiresAt,
        lastResort: last,
      })),
    );
  }

  /** Forgets what has long expired; true when there is no last-resort package with much life left. */
  async #sweep(): Promise<boolean> {
    const now = this.#time.now();
    let isCovered = false;
    for (const { key, value } of await this.#store.scan("keypackages")) {
      const { expiresAt, lastResort } = decodeRecord<Kept>(value);
      if (lastResort && expiresAt > now + RENEW_BEFORE) isCovered = true;
      if (expiresAt + KEEP_AFTER < now) await this.#store.write([{ table: "keypackages", key, value: null }]);
    }
    return !isCovered;
  }
}
