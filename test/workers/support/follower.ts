// An honest client of a conversation: it takes envelopes strictly in order, follows the rolling hash, resends what was not answered,
// and pulls when it is told to.

import { toHex } from "../../../schemas/bytes.ts";
import { chain, digestOf, GENESIS } from "../../../schemas/chain.ts";
import type { ClientFrame, Envelope, EnvelopesFrame, ServerFrame } from "../../../schemas/frames.ts";
import type { Device, Peer, Room } from "./room.ts";

type Ask = Extract<ClientFrame, { type: "send" | "commit" }>;

/** What became of an ask: its seq, or the code it was refused with. */
export type Outcome = number | string;

export class Follower {
  readonly #room: Room;
  readonly who: Device;
  readonly #open = new Map<string, Ask>();
  readonly #conflicts: string[] = [];
  readonly outcomes = new Map<string, Outcome>();
  /** Hex digest of every envelope taken in, by seq. */
  readonly taken = new Map<number, string>();
  #peer: Peer | undefined;
  #hash: Uint8Array = GENESIS;
  cursor = 0;
  confirmed = 0;
  epoch = 0;
  fault: string | undefined;

  constructor(room: Room, who: Device) {
    this.#room = room;
    this.who = who;
  }

  /** Opens a new socket, goes on where it was and asks again what was not answered. */
  async connect(): Promise<void> {
    const peer = await this.#room.connect(this.who);
    this.#peer = peer;
    this.confirmed = this.cursor;
    peer.socket.say({ type: "resume", after: this.cursor });
    void this.#listen(peer);
    for (const frame of this.#open.values()) peer.socket.say(frame);
  }

  get peer(): Peer {
    if (this.#peer === undefined) throw new Error("not connected");
    return this.#peer;
  }

  ask(frame: Ask): void {
    this.#open.set(toHex(frame.id), frame);
    this.peer.socket.say(frame);
  }

  /** Asks for other bytes under an id that is stored. */
  askOther(frame: Ask): void {
    this.#conflicts.push(toHex(frame.id));
    this.peer.socket.say(frame);
  }

  confirm(): void {
    this.confirmed = this.cursor;
    this.peer.socket.say({ type: "confirm", seq: this.cursor });
  }

  /** Whether everything asked was answered. */
  get answered(): boolean {
    return this.#open.size === 0;
  }

  async #listen(peer: Peer): Promise<void> {
    for (;;) {
      const frame = await peer.socket.next((one): one is ServerFrame => one !== undefined);
      if (peer === this.#peer) this.#take(frame);
    }
  }

  #take(frame: ServerFrame): void {
    if (frame.type === "ready" && frame.head.seq > this.cursor) this.#pull();
    else if (frame.type === "behind") this.#pull();
    else if (frame.type === "accepted") this.#answer(toHex(frame.id), frame.seq);
    else if (frame.type === "refused" && frame.id !== null) this.#answer(toHex(frame.id), frame.code);
    else if (frame.type === "envelopes") this.#takeIn(frame);
  }

  #takeIn({ envelopes, hash, head }: EnvelopesFrame): void {
    for (const envelope of envelopes) this.#takeOne(envelope);
    if (envelopes.at(-1)?.seq === this.cursor && toHex(hash) !== toHex(this.#hash))
      this.fault ??= `hash differs at ${this.cursor}`;
    if (this.cursor < head) this.#pull();
  }

  #takeOne({ seq, id, bytes, digest }: Envelope): void {
    if (seq <= this.cursor) return;
    if (seq !== this.cursor + 1) this.fault ??= `a gap before ${seq}`;
    const known = bytes === null ? (digest ?? GENESIS) : digestOf(id, bytes);
    this.#hash = chain(this.#hash, seq, known);
    this.cursor = seq;
    this.taken.set(seq, toHex(known));
    this.#answer(toHex(id), seq);
  }

  #pull(): void {
    this.peer.socket.say({ type: "pull", after: this.cursor });
  }

  /** What is stored stays stored: whatever is asked again later is answered with the same seq, other bytes with a conflict. */
  #answer(id: string, outcome: Outcome): void {
    const before = this.outcomes.get(id);
    const expected = outcome === "conflict" && this.#conflicts.includes(id);
    if (typeof before === "number" && outcome !== before && !expected)
      this.fault ??= `stored at ${before}, then ${outcome}`;
    if (this.#open.delete(id)) this.outcomes.set(id, outcome);
  }
}
