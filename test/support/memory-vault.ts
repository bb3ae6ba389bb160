// A vault in memory that keeps the vault's rules: tags, expectations, expiry. Tests may look at what lies in it and make any call fail.

import type { Vault } from "../../client/engine/vault.ts";
import type { VaultId } from "../../schemas/ids.ts";
import { Refusal } from "../../schemas/refusal.ts";

export interface Lying {
  bytes: Uint8Array<ArrayBuffer>;
  readonly tag: string;
  readonly storedAt: number;
  readonly expiresAt: number | null;
}

/** A shelf whose clock is `now`. */
export class MemoryVault implements Vault {
  readonly objects = new Map<VaultId, Lying>();
  readonly calls: string[] = [];
  /** Asked before every call; after a `lost` one the caller hears nothing of what was done. */
  interfere: (call: string) => "fail" | "lose" | undefined = () => undefined;
  readonly #now: () => number;
  #tags = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  get(id: VaultId) {
    return this.#call(`get ${id}`, () => {
      const there = this.#there(id);
      return there && { bytes: there.bytes.slice(), tag: there.tag };
    });
  }

  list() {
    return this.#call("list", () =>
      [...this.objects.keys()].flatMap((id) => {
        const there = this.#there(id);
        return there ? [{ id, size: there.bytes.length, storedAt: there.storedAt, expiresAt: there.expiresAt }] : [];
      }),
    );
  }

  put(
    id: VaultId,
    bytes: Uint8Array<ArrayBuffer>,
    { expected, expiresAt = null }: { expected?: string | null; expiresAt?: number | null } = {},
  ) {
    return this.#call(`put ${id}`, () => {
      if (expected !== undefined && (this.#there(id)?.tag ?? null) !== expected) throw new Refusal("conflict");
      if (expiresAt !== null && expiresAt <= this.#now()) throw new Refusal("malformed");
      const tag = `tag${this.#tags++}`;
      this.objects.set(id, { bytes: bytes.slice(), tag, storedAt: this.#now(), expiresAt });
      return tag;
    });
  }

  delete(id: VaultId) {
    return this.#call(`delete ${id}`, () => {
      this.objects.delete(id);
    });
  }

  #there(id: VaultId): Lying | undefined {
    const there = this.objects.get(id);
    return there && (there.expiresAt === null || there.expiresAt > this.#now()) ? there : undefined;
  }

  async #call<Result>(call: string, carryOut: () => Result): Promise<Result> {
    this.calls.push(call);
    const how = this.interfere(call);
    if (how === "fail") throw new Refusal("unavailable");
    const result = carryOut();
    if (how === "lose") throw new Refusal("unavailable");
    return result;
  }
}
