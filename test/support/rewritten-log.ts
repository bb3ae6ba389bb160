// A server's other face: shows one reader another log than everybody else's, renumbered and rehashed so that it fits in itself.

import { randomBytes } from "../../schemas/bytes.ts";
import { chain, digestOf } from "../../schemas/chain.ts";
import { readHeader } from "../../schemas/envelope.ts";
import type { Envelope, EnvelopesFrame } from "../../schemas/frames.ts";
import type { Incoming } from "./tampered-socket.ts";

/** What becomes of the envelopes that come next; their places are made to fit. */
export type Rewriting = (envelopes: readonly Envelope[]) => readonly Envelope[];

/** The log as one reader of one conversation is shown it. Begins to lie when told how. */
export class RewrittenLog {
  readonly #conversation: string;
  #rewriting: Rewriting | null = null;
  #seq = 0;
  #hash: EnvelopesFrame["hash"] | null = null;
  #from = 0;

  constructor(conversation: string) {
    this.#conversation = conversation;
  }

  /** From now on. What came before stays as it was. */
  begin(rewriting: Rewriting): void {
    this.#rewriting = rewriting;
    this.#from = this.#seq;
  }

  /** To be asked about everything that comes in. */
  readonly pass = (frame: Incoming, url: string): readonly Incoming[] => {
    if (!url.includes(this.#conversation)) return [frame];
    if (frame.type === "ready" && "head" in frame) this.#stand(frame.head.seq, frame.head.hash);
    if (frame.type !== "envelopes") return [frame];
    if (this.#rewriting === null) {
      this.#stand(frame.envelopes.at(-1)?.seq ?? this.#seq, frame.hash);
      return [frame];
    }
    const news = frame.envelopes.filter(({ seq }) => seq > this.#from);
    this.#from = Math.max(this.#from, frame.envelopes.at(-1)?.seq ?? 0);
    return [{ ...frame, ...this.#show(this.#rewriting(news)) }];
  };

  /** Envelopes as the next ones of this log. */
  #show(envelopes: readonly Envelope[]): Pick<EnvelopesFrame, "envelopes" | "hash" | "head"> {
    if (this.#hash === null) throw new Error("nothing was shown before");
    const shown = envelopes.map((envelope) => {
      this.#seq += 1;
      const hash = chain(this.#hash as Uint8Array, this.#seq, digestOf(envelope.id, envelope.bytes as Uint8Array));
      this.#hash = hash as EnvelopesFrame["hash"];
      return { ...envelope, seq: this.#seq };
    });
    return { envelopes: shown, hash: this.#hash, head: this.#seq };
  }

  #stand(seq: number, hash: EnvelopesFrame["hash"]): void {
    if (this.#rewriting !== null) return;
    this.#seq = seq;
    this.#hash = hash;
  }
}

export const isCommit = ({ bytes }: Envelope): boolean => bytes !== null && readHeader(bytes)?.kind === "commit";

/** The same bytes, as if they had been sent once more. */
export function again(envelope: Envelope): Envelope {
  return { ...envelope, id: randomBytes(16) as Envelope["id"] };
}
