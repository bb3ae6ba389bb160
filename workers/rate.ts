// Owns how much one device may ask of an object: a token bucket per device, in memory only.

/**
 * A bucket that holds `burst` tokens and regains `perSecond` of them. Once it is empty it stays shut until it has regained half a second's
 * worth: a device has several sends in flight, and none of them may overtake one that was refused.
 */
export class Rate {
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #buckets = new Map<string, { tokens: number; at: number; shut: boolean }>();

  constructor({ perSecond, burst }: { readonly perSecond: number; readonly burst: number }) {
    this.#perSecond = perSecond;
    this.#burst = burst;
  }

  /** Takes `cost` tokens of a device at `now` (ms); 0 when there were enough, otherwise in how many ms there will be. */
  take(device: string, cost: number, now: number): number {
    const bucket = this.#buckets.get(device) ?? { tokens: this.#burst, at: now, shut: false };
    bucket.tokens = Math.min(this.#burst, bucket.tokens + (Math.max(0, now - bucket.at) * this.#perSecond) / 1_000);
    bucket.at = now;
    this.#buckets.set(device, bucket);
    const needed = bucket.shut ? Math.min(this.#burst, Math.max(cost, this.#perSecond / 2)) : cost;
    bucket.shut = bucket.tokens < needed;
    if (bucket.shut)
      return Math.ceil(((Math.max(cost, this.#perSecond / 2) - bucket.tokens) * 1_000) / this.#perSecond);
    bucket.tokens -= cost;
    return 0;
  }
}
