// Keeps what crossed the sockets of many devices: the log of each conversation as the server told it, and every ciphertext that left.
// Works out from the public bytes alone who was in when. Judges nothing and changes nothing.

import { equalBytes, toBase64url } from "../../schemas/bytes.ts";
import { applyToLeaves, readCommit, readHeader } from "../../schemas/envelope.ts";
import type { ClientFrame } from "../../schemas/frames.ts";
import type { ConversationId, DeviceId, MemberId } from "../../schemas/ids.ts";
import type { Row } from "./checker.ts";
import type { Incoming, Tampering } from "./tampered-socket.ts";

/** One envelope as the server told it. */
export interface Heard {
  readonly seq: number;
  readonly id: string;
  readonly bytes: Uint8Array;
  readonly acceptedAt: number;
}

/** One send as it left a device, whether it arrived or not. */
export interface Left {
  readonly conversation: ConversationId;
  readonly id: string;
  readonly bytes: Uint8Array;
}

/** A device's time in a conversation: what comes after `from`, up to `to` if that is not null, is for it. */
export interface Stay {
  readonly member: MemberId;
  readonly device: DeviceId;
  readonly from: number;
  readonly to: number | null;
  /** It ended because the device itself came in anew. */
  readonly renewed: boolean;
}

/** What all sockets that were given its {@link tampering} have carried. */
export class WireTap {
  /** Everything that contradicts what was heard before. */
  readonly contradictions: string[] = [];
  readonly left: Left[] = [];
  readonly #logs = new Map<ConversationId, Map<number, Heard>>();

  /** Listens on, and hands every frame to `then` as it is. */
  tampering(then: Tampering = {}): Tampering {
    return {
      incoming: (frame, url) => {
        this.#hear(frame, url);
        return then.incoming?.(frame, url) ?? [frame];
      },
      outgoing: (frame, url) => {
        this.#see(frame, url);
        return then.outgoing === undefined ? [frame] : then.outgoing(frame, url);
      },
    };
  }

  /** The envelopes of a conversation in their order. */
  heard(conversation: ConversationId): Heard[] {
    return [...(this.#logs.get(conversation)?.values() ?? [])].sort((a, b) => a.seq - b.seq);
  }

  /** The sends that are in a conversation's log, whether anybody was there to see them leave or not. */
  accepted(conversation: ConversationId): Left[] {
    const sends = this.heard(conversation).filter(({ bytes }) => readHeader(bytes)?.kind !== "commit");
    return sends.map(({ id, bytes }) => ({ conversation, id, bytes }));
  }

  /** The log of a conversation for the checker. Titles and timers travel as messages too: only what `isText` knows is one. */
  log(conversation: ConversationId, isText: (mid: string) => boolean): Row[] {
    return this.heard(conversation).map(({ seq, id, bytes }) => {
      const header = readHeader(bytes);
      const isCommit = header?.kind === "commit";
      return {
        seq,
        mid: !isCommit && isText(id) ? id : null,
        digest: null,
        ...(isCommit && { commits: header.epoch }),
      };
    });
  }

  /** Who was in a conversation when, given who founded it; in the order in which they came. */
  stays(conversation: ConversationId, founder: { readonly member: MemberId; readonly device: DeviceId }): Stay[] {
    const over: Stay[] = [];
    let seats: (Omit<Stay, "to" | "renewed"> | null)[] = [{ ...founder, from: 0 }];
    for (const { seq, bytes } of this.heard(conversation)) {
      const facts = readCommit(bytes);
      if (facts === undefined) continue;
      const { joiner, added, removed } = facts;
      const came = joiner === null ? added : [joiner];
      for (const leaf of removed) {
        const gone = seats[leaf];
        if (gone != null) over.push({ ...gone, to: seq, renewed: joiner?.device === gone.device });
      }
      const arrived = came.map(({ member, device }) => ({ member, device, from: seq }));
      seats = applyToLeaves(seats, { removed, added: arrived }) ?? seats;
    }
    const here = seats.flatMap((seat) => (seat === null ? [] : [{ ...seat, to: null, renewed: false }]));
    return [...over, ...here].sort((a, b) => a.from - b.from);
  }

  #hear(frame: Incoming, url: string): void {
    if (frame.type !== "envelopes") return;
    const conversation = conversationOf(url);
    const log = this.#logs.get(conversation) ?? new Map<number, Heard>();
    this.#logs.set(conversation, log);
    for (const { seq, id, bytes, acceptedAt } of frame.envelopes) {
      if (bytes === null) continue;
      const known = log.get(seq);
      if (known === undefined) log.set(seq, { seq, id: toBase64url(id), bytes: bytes.slice(), acceptedAt });
      else if (!equalBytes(known.bytes, bytes)) this.contradictions.push(`${conversation} told ${seq} in two ways`);
    }
  }

  #see(frame: ClientFrame, url: string): void {
    if (frame.type !== "send") return;
    this.left.push({ conversation: conversationOf(url), id: toBase64url(frame.id), bytes: frame.bytes.slice() });
  }
}

function conversationOf(url: string): ConversationId {
  return new URL(url).pathname.split("/")[3] as ConversationId;
}
