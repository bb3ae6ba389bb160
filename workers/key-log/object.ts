// Owns the shell of a tenant's key log: what the Worker may call. It appends and proves; nothing can take a leaf out or change one.

import { DurableObject } from "cloudflare:workers";
import { encodeKeyEvent } from "../../schemas/key-event.ts";
import type { Residency } from "../../schemas/policy.ts";
import { Refusal } from "../../schemas/refusal.ts";
import type { Unlogged } from "../directory/key-events.ts";
import type { Env } from "../env.ts";
import { assertResidency } from "../residency.ts";
import { Tree } from "./tree.ts";

interface Where {
  readonly residency: Residency;
}

/** How many leaves one page holds at most. */
const PAGE = 500;

/** One tenant's log of keys: an append-only Merkle tree (RFC 9162 §2.1). */
export class KeyLogObject extends DurableObject<Env> {
  readonly #tree: Tree;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#tree = new Tree(ctx.storage.sql);
  }

  /** Enters events in order; those it has already are passed over. Number of the newest event there is. @throws {Refusal} wrong_residency */
  append({ residency, events }: Where & { readonly events: readonly Unlogged[] }): number {
    assertResidency(this.ctx, this.env, residency);
    this.ctx.storage.transactionSync(() => {
      for (const { n, event } of events) this.#tree.append(n, encodeKeyEvent(event));
    });
    return this.#tree.newest;
  }

  /** The head of the log. @throws {Refusal} wrong_residency */
  head({ residency }: Where): { size: number; root: Uint8Array } {
    assertResidency(this.ctx, this.env, residency);
    const { size } = this.#tree;
    return { size, root: this.#tree.root(size) };
  }

  /** A page of leaves from `from` on. @throws {Refusal} wrong_residency */
  leaves({ residency, from }: Where & { readonly from: number }): Uint8Array[] {
    assertResidency(this.ctx, this.env, residency);
    return this.#tree.leaves(from, PAGE);
  }

  /** Proof that a leaf with this hash is among the first `size`. @throws {Refusal} not_found — it is not; wrong_residency */
  prove({ residency, hash, size }: Where & { readonly hash: Uint8Array; readonly size: number }) {
    assertResidency(this.ctx, this.env, residency);
    const proven = size <= this.#tree.size ? this.#tree.prove(hash, size) : undefined;
    if (proven === undefined) throw new Refusal("not_found");
    return proven;
  }

  /** Proof that the log of `second` leaves goes on from that of `first`. @throws {Refusal} not_found — it was never that long; wrong_residency */
  proveGrowth({ residency, first, second }: Where & { readonly first: number; readonly second: number }): Uint8Array[] {
    assertResidency(this.ctx, this.env, residency);
    if (first < 1 || first > second || second > this.#tree.size) throw new Refusal("not_found");
    return this.#tree.proveGrowth(first, second);
  }
}
