// Owns the engine's idea of the server's clock: an offset learned from every frame and kept across restarts.

import { decodeCbor, encodeCbor } from "../../schemas/cbor.ts";
import type { Clock } from "./clock.ts";
import type { Store, Write } from "./store.ts";

const KEY = "server-time";
// A frame's time is read after its way here, so a sample can only be too old: small changes are network, not clock
const TOLERANCE = 2_000;

/** The server's clock, seen from here. Times in ms. */
export class ServerTime {
  readonly #clock: Clock;
  readonly #store: Store;
  #offset: number;

  constructor({ clock, store, offset }: { clock: Clock; store: Store; offset: number }) {
    this.#clock = clock;
    this.#store = store;
    this.#offset = offset;
  }

  /** Opens it with the offset that was known last. */
  static async load(store: Store, clock: Clock): Promise<ServerTime> {
    const kept = await store.get("meta", KEY);
    return new ServerTime({ clock, store, offset: kept === undefined ? 0 : Number(decodeCbor(kept)) });
  }

  /** The server's time now. */
  now(): number {
    return Math.max(0, Math.floor(this.#clock.now() + this.#offset));
  }

  /** A time of the server on this machine's clock. */
  toLocal(at: number): number {
    return Math.floor(at - this.#offset);
  }

  /** A time of this machine's clock on the server's; 0 for one before 1970. */
  fromLocal(at: number): number {
    return Math.max(0, Math.floor(at + this.#offset));
  }

  /** Takes in a time the server has just said; true when the clocks turned out to differ otherwise than known. */
  async observe(serverNow: number): Promise<boolean> {
    const offset = Math.floor(serverNow - this.#clock.now());
    const moved = Math.abs(offset - this.#offset) > TOLERANCE;
    if (offset > this.#offset || moved) this.#offset = offset;
    if (moved) await this.#store.write([this.#write()]);
    return moved;
  }

  #write(): Write {
    return { table: "meta", key: KEY, value: encodeCbor(this.#offset) };
  }
}
