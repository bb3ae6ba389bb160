// Owns the live sockets of a conversation (WebSocket Hibernation API): who is connected, how far each has got, and when to stop pushing.
// Knows no rules and no storage; what it must not lose with the memory is in the sockets' attachments.

import { encodeFrame, type ServerFrame } from "../../schemas/frames.ts";
import type { DeviceId } from "../../schemas/ids.ts";
import { LIMITS } from "../../schemas/policy.ts";
import { REFUSED_CLOSE, type RefusalCode } from "../../schemas/refusal.ts";
import type { Who } from "./order.ts";
import { Turns } from "./turns.ts";

/** A device that is behind and silent for so long is taken for gone, in ms. */
const STALLED_AFTER = 60_000;

/** One connected device. `acked`: the last seq it can be assumed to have taken off the wire. */
export interface Session extends Who {
  readonly socket: WebSocket;
  resumed: boolean;
  /** Whether it gets what comes in at once; what it has is then complete up to the head. */
  live: boolean;
  acked: number;
  confirmed: number;
  behindAt: number | null;
  errors: number;
  readonly turns: Turns;
}

type Kept = Who & Pick<Session, "resumed" | "live" | "confirmed">;

/** What has just been appended, in the one form in which everybody gets it. */
interface News {
  readonly frame: Uint8Array;
  readonly head: number;
  /** Size of each envelope in bytes, in order. */
  readonly sizes: readonly number[];
  readonly now: number;
}

/** The sockets of one conversation: at most one per device, the newest. */
export class Sockets {
  readonly #ctx: DurableObjectState;
  readonly #byDevice = new Map<DeviceId, Session>();
  readonly #bySocket = new Map<WebSocket, Session>();
  readonly #sizes = new Sizes();

  constructor(ctx: DurableObjectState) {
    this.#ctx = ctx;
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
    for (const socket of ctx.getWebSockets()) if (socket.readyState === WebSocket.OPEN) this.#restore(socket);
  }

  get size(): number {
    return this.#byDevice.size;
  }

  all(): Iterable<Session> {
    return this.#byDevice.values();
  }

  has(device: DeviceId): boolean {
    return this.#byDevice.has(device);
  }

  /** The session of a socket; `undefined` once it was closed or replaced. */
  of(socket: WebSocket): Session | undefined {
    return this.#bySocket.get(socket);
  }

  /** Takes a new socket on; an older one of the same device is closed. */
  accept(socket: WebSocket, { member, device }: Who): void {
    const old = this.#byDevice.get(device);
    if (old !== undefined) this.#end(old, 1000, "replaced");
    this.#ctx.acceptWebSocket(socket);
    this.#add({ socket, member, device, resumed: false, live: false, confirmed: 0 });
    this.save(device);
  }

  /** Forgets a socket that has closed; false when it was forgotten before. */
  drop(socket: WebSocket): boolean {
    const session = this.#bySocket.get(socket);
    if (session === undefined) return false;
    this.#bySocket.delete(socket);
    this.#byDevice.delete(session.device);
    return true;
  }

  /** Closes a device's socket for good. */
  refuse(device: DeviceId, code: RefusalCode): void {
    const session = this.#byDevice.get(device);
    if (session !== undefined) this.#end(session, REFUSED_CLOSE, code);
  }

  /** Sends one frame to one session. */
  send(session: Session, frame: ServerFrame): void {
    sendBytes(session, encodeFrame(frame));
  }

  /** Sends one frame that is encoded already. */
  sendBytes(session: Session, bytes: Uint8Array): void {
    sendBytes(session, bytes);
  }

  /** Sends one frame to every session that is live, encoded once. */
  broadcast(frame: ServerFrame): void {
    const bytes = encodeFrame(frame);
    for (const session of this.#byDevice.values()) if (session.live) sendBytes(session, bytes);
  }

  /** Tells every live session what came in; who has not taken the last window off the wire yet is told once that it is behind. */
  tell({ frame, head, sizes, now }: News): void {
    for (const [index, size] of sizes.entries()) this.#sizes.add(head - sizes.length + 1 + index, size);
    for (const session of this.#byDevice.values()) {
      if (session.live) {
        if (this.#fits(session, head)) sendBytes(session, frame);
        else this.#fallBehind(session, head, now);
      } else if (session.behindAt !== null && now - session.behindAt > STALLED_AFTER) {
        this.#end(session, REFUSED_CLOSE, "unavailable");
      }
    }
  }

  /** Marks a session as complete up to `head`: from now on it gets what comes in. */
  enliven(session: Session, head: number): void {
    session.acked = Math.max(session.acked, head);
    session.behindAt = null;
    if (session.live) return;
    session.live = true;
    this.save(session.device);
  }

  /** Writes a device's attachment, which outlives the memory but not the connection. */
  save(device: DeviceId): void {
    const session = this.#byDevice.get(device);
    if (session === undefined) return;
    const { member, resumed, live, confirmed } = session;
    session.socket.serializeAttachment({ member, device, resumed, live, confirmed } satisfies Kept);
  }

  #fits({ acked }: Session, head: number): boolean {
    return head - acked <= LIMITS.windowEnvelopes && this.#sizes.since(acked) <= LIMITS.windowBytes;
  }

  #fallBehind(session: Session, head: number, now: number): void {
    session.live = false;
    session.behindAt = now;
    this.send(session, { type: "behind", head });
    this.save(session.device);
  }

  #restore(socket: WebSocket): void {
    const kept = socket.deserializeAttachment() as Kept | null;
    if (kept !== null) this.#add({ socket, ...kept });
  }

  #add(kept: Kept & { readonly socket: WebSocket }): void {
    const behindAt = kept.resumed && !kept.live ? Date.now() : null;
    const session = { ...kept, acked: kept.confirmed, behindAt, errors: 0, turns: new Turns() };
    this.#byDevice.set(kept.device, session);
    this.#bySocket.set(kept.socket, session);
  }

  #end({ socket }: Session, code: number, reason: string): void {
    this.drop(socket);
    socket.close(code, reason);
  }
}

function sendBytes({ socket }: Session, bytes: Uint8Array): void {
  try {
    socket.send(bytes);
  } catch {
    // The connection is gone; its close event follows and the device resumes on another
  }
}

/** How many bytes lie between an envelope and the newest one, for as many envelopes as a window can hold. */
class Sizes {
  readonly #totals = new Float64Array(LIMITS.windowEnvelopes + 1);
  #total = 0;
  #first = Number.POSITIVE_INFINITY;

  add(seq: number, size: number): void {
    this.#first = Math.min(this.#first, seq);
    this.#total += size;
    this.#totals[seq % this.#totals.length] = this.#total;
  }

  /** Right for the last {@link LIMITS.windowEnvelopes} envelopes; what came before this memory counts nothing. */
  since(seq: number): number {
    return seq < this.#first ? this.#total : this.#total - (this.#totals[seq % this.#totals.length] ?? 0);
  }
}
