// A server that keeps one device's share in memory and answers like the real one, or not at all when told to.

import { sha256 } from "@noble/hashes/sha2.js";
import type { SealOptions } from "../../client/engine/seal/seal.ts";
import type { NewShare } from "../../schemas/api.ts";
import { fromBase64url, toBase64url } from "../../schemas/bytes.ts";
import { Refusal } from "../../schemas/refusal.ts";

type Kept = NewShare & { readonly verifierHash: string | null };

const hashOf = (secret: string): string => toBase64url(sha256(fromBase64url(secret) ?? new Uint8Array()));

/** `down` before: nothing arrives; `mute`: what is asked is done and the answer lost. */
export class ShareServer {
  line: "up" | "down" | "mute" = "up";
  revoked = false;
  asked = 0;
  #kept: Kept | null = null;

  /** The device that brings this share has been let in. */
  admit(share: NewShare): void {
    this.#kept = { ...share, verifierHash: null };
  }

  readonly door: SealOptions["door"] = {
    openShare: async ({ secret, verifier }) => {
      this.asked += 1;
      this.#lift("down");
      const kept = this.#find(hashOf(secret));
      this.#lift("mute");
      if (kept.verifierHash !== null && verifier === null) throw new Refusal("forbidden", { reason: "guarded" });
      if (kept.verifierHash !== null && hashOf(verifier ?? "") !== kept.verifierHash) {
        throw new Refusal("forbidden", { reason: "wrong", left: 9, retryAfter: 0 });
      }
      return { share: kept.share };
    },
    changeShare: async ({ secret, share, next }) => {
      this.#lift("down");
      const isDone = this.#kept?.unlockHash === next.unlockHash && this.#kept.share === next.share;
      if (!isDone && this.#find(hashOf(secret)).share !== share) throw new Refusal("not_found");
      this.#kept = next;
      this.#lift("mute");
    },
  };

  #find(unlockHash: string): Kept {
    if (this.#kept?.unlockHash !== unlockHash) throw new Refusal("not_found");
    if (this.revoked) throw new Refusal("device_revoked");
    return this.#kept;
  }

  #lift(line: "down" | "mute"): void {
    if (this.line === line) throw new Refusal("unavailable", { reason: "unreachable" });
  }
}

/** A place for a header that outlives the seal, and remembers every header it was given. */
export function headerPlace() {
  const written: unknown[] = [];
  return {
    written,
    header: async () => written.at(-1) as never,
    setHeader: async (header: unknown) => void written.push(header),
  };
}
