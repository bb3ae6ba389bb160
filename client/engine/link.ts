// Owns one socket to the server that mends itself: dialling, back-off, heartbeat, and the end of it. Knows frames only as things
// that a schema can check; what they mean is for the conversation and the mailbox.

import type * as v from "valibot";
import { type ClientFrame, decodeFrame, encodeFrame, type MailboxClientFrame } from "../../schemas/frames.ts";
import { LIMITS } from "../../schemas/policy.ts";
import { isRefusal, REFUSALS, REFUSED_CLOSE, Refusal, type RefusalCode } from "../../schemas/refusal.ts";
import { type Clock, systemClock } from "./clock.ts";

/** Times in ms. */
const BACK_OFF = { least: 200, most: 30_000 };
const STABLE_AFTER = 60_000;
const DIAL_TIMEOUT = 20_000;
const PING_EVERY = 25_000;
const PONG_WITHIN = 10_000;
const ROOM_EVERY = 50;
/** How many bytes may wait in a socket that the network does not take. */
const BUFFER_BYTES = LIMITS.frameBytes;

/** Close codes a page may use are 1000 and 3000 to 4999. */
const NORMAL_CLOSE = 1000;
/** What a connection that broke off reports (RFC 6455 §7.1.5); never sent. */
const BROKEN_OFF = 1006;

/** Makes sockets to one place. */
export interface Dialer {
  /** A new socket that is still connecting. @throws {Refusal} whatever getting a token was refused with */
  dial(): Promise<WebSocket>;
  /** The server turned the last token down: take a new one next time. */
  drop(): void;
}

/** How a socket ended. `terminal`: the link will not dial again. `refusal` is null when the network was the reason. */
export interface Ending {
  readonly code: number;
  readonly refusal: RefusalCode | null;
  readonly terminal: boolean;
}

export interface LinkOptions<Schema extends v.GenericSchema> {
  readonly dialer: Dialer;
  /** What the server may send: ServerFrame or MailboxServerFrame. */
  readonly schema: Schema;
  /** The socket is open: send `resume`. */
  readonly onOpen: () => void;
  /** In the order they came; must not throw. */
  readonly onFrame: (frame: v.InferOutput<Schema>) => void;
  /** Once per attempt, also when it never opened. Not called by {@link Link.close}. */
  readonly onClose: (ending: Ending) => void;
  /** There is room again after {@link Link.send} said no to an open socket. */
  readonly onRoom?: () => void;
  readonly clock?: Clock;
}

/** A socket that stays: dials when made, and again whenever it ends, until it is closed or refused for good. */
export class Link<Schema extends v.GenericSchema> {
  readonly #options: LinkOptions<Schema>;
  readonly #clock: Clock;
  /** Counts attempts, so that what belongs to an earlier one is known by its number and ignored. */
  #attempt = 0;
  #failures = 0;
  #socket: WebSocket | undefined;
  #state: "dialling" | "open" | "waiting" | "closed" = "waiting";
  /** What is to be called off when the present state ends. */
  readonly #timers = new Map<"dial" | "stable" | "heartbeat" | "room", () => void>();

  constructor(options: LinkOptions<Schema>) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#dial();
  }

  /** Whether the socket is open now. */
  get open(): boolean {
    return this.#state === "open";
  }

  /** Hands a frame to the socket; false when it is not open or too much is waiting in it. @throws {Refusal} too_large — no frame may be that big */
  send(frame: ClientFrame | MailboxClientFrame): boolean {
    const bytes = encodeFrame(frame);
    if (bytes.length > LIMITS.frameBytes) throw new Refusal("too_large", { limit: LIMITS.frameBytes });
    const socket = this.#socket;
    // The socket may be closing already while its close event is still to come.
    if (this.#state !== "open" || socket?.readyState !== 1) return false;
    if (socket.bufferedAmount > 0 && socket.bufferedAmount + bytes.length > BUFFER_BYTES) {
      this.#waitForRoom(socket);
      return false;
    }
    socket.send(bytes);
    return true;
  }

  /** The server has answered `resume`: the way is good, so the next back-off starts small again. */
  resumed(): void {
    this.#failures = 0;
  }

  /** The network may be back: dials now instead of later; an open socket is asked for a sign of life. */
  wake(): void {
    if (this.#state === "waiting") this.#dial();
    else if (this.#state === "open") this.#ping();
  }

  /** How many bytes wait in the socket that the network has not taken. */
  get waiting(): number {
    return this.#socket?.bufferedAmount ?? 0;
  }

  /** Gives an open socket up as lost. */
  renew(): void {
    if (this.#state === "open") this.#fail({ code: BROKEN_OFF, refusal: null });
  }

  /** Ends it for good; no more callbacks. */
  close(): void {
    this.#leave("closed", NORMAL_CLOSE);
  }

  /** Steps out of the present attempt: nothing of it is heard any more. */
  #leave(state: "waiting" | "closed", code: number, reason = ""): void {
    const socket = this.#socket;
    this.#state = state;
    this.#attempt++;
    this.#socket = undefined;
    for (const callOff of this.#timers.values()) callOff();
    this.#timers.clear();
    // A socket that has ended ignores this; one that is still connecting is given up.
    socket?.close(code, reason);
  }

  #after(timer: "dial" | "stable" | "heartbeat" | "room", delay: number, run: () => void): void {
    this.#timers.get(timer)?.();
    this.#timers.set(timer, this.#clock.after(delay, run));
  }

  #dial(): void {
    this.#state = "dialling";
    const attempt = ++this.#attempt;
    this.#after("dial", DIAL_TIMEOUT, () => this.#fail({ code: BROKEN_OFF, refusal: null }));
    this.#options.dialer.dial().then(
      (socket) => {
        if (attempt === this.#attempt) this.#listen(socket, attempt);
        else socket.close(NORMAL_CLOSE);
      },
      (error: unknown) => {
        const refusal = isRefusal(error) ? error.code : "internal";
        if (attempt === this.#attempt)
          this.#fail({ code: BROKEN_OFF, refusal: refusal === "unavailable" ? null : refusal });
      },
    );
  }

  #listen(socket: WebSocket, attempt: number): void {
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    const current = (): boolean => attempt === this.#attempt;
    socket.onopen = () => current() && this.#opened();
    socket.onmessage = ({ data }) => current() && this.#heard(data);
    socket.onclose = ({ code, reason }) => current() && this.#fail({ code, refusal: refusalIn(code, reason) });
  }

  #opened(): void {
    this.#state = "open";
    this.#timers.get("dial")?.();
    this.#after("stable", STABLE_AFTER, () => this.resumed());
    this.#beat();
    this.#options.onOpen();
  }

  #heard(data: unknown): void {
    this.#beat();
    if (data === "pong") return;
    if (!(data instanceof ArrayBuffer)) this.#reject("malformed");
    else if (data.byteLength > LIMITS.frameBytes) this.#reject("too_large");
    else {
      const frame = decodeFrame(this.#options.schema, new Uint8Array(data));
      if (frame === undefined) this.#reject("malformed");
      else this.#options.onFrame(frame);
    }
  }

  /** The server has sent what it may not send. That is no reason to give up: another attempt may meet a mended server. */
  #reject(code: "malformed" | "too_large"): void {
    this.#retry({ code: REFUSED_CLOSE, refusal: code, terminal: false });
  }

  #fail({ code, refusal }: Omit<Ending, "terminal">): void {
    const remedy = refusal === null ? "retry" : REFUSALS[refusal].remedy;
    if (remedy === "sign_in") this.#options.dialer.drop();
    if (remedy === "give_up" || remedy === "update") {
      this.#leave("closed", NORMAL_CLOSE);
      this.#options.onClose({ code, refusal, terminal: true });
    } else this.#retry({ code, refusal, terminal: false });
  }

  #retry(ending: Ending): void {
    this.#leave("waiting", ending.code === REFUSED_CLOSE ? REFUSED_CLOSE : NORMAL_CLOSE, ending.refusal ?? "");
    const ceiling = Math.min(BACK_OFF.most, BACK_OFF.least * 2 ** (this.#failures + 1));
    this.#failures++;
    const delay = BACK_OFF.least + this.#clock.random() * (ceiling - BACK_OFF.least);
    this.#after("dial", delay, () => this.#dial());
    this.#options.onClose(ending);
  }

  /** Something was heard: the next sign of life is asked for a while from now. */
  #beat(): void {
    this.#after("heartbeat", PING_EVERY, () => this.#ping());
  }

  /** The server's runtime answers "ping" by itself, without waking the object behind the socket. */
  #ping(): void {
    const socket = this.#socket;
    const waiting = socket?.bufferedAmount ?? 0;
    if (socket?.readyState === 1) socket.send("ping");
    this.#awaitPong(socket, waiting);
  }

  /** As long as what waits in the socket gets less, the way is slow and not dead. */
  #awaitPong(socket: WebSocket | undefined, waiting: number): void {
    this.#after("heartbeat", PONG_WITHIN, () => {
      const left = socket?.bufferedAmount ?? 0;
      if (left < waiting) this.#awaitPong(socket, left);
      else this.#fail({ code: BROKEN_OFF, refusal: null });
    });
  }

  #waitForRoom(socket: WebSocket): void {
    this.#after("room", ROOM_EVERY, () => {
      if (socket.bufferedAmount > BUFFER_BYTES / 2) this.#waitForRoom(socket);
      else this.#options.onRoom?.();
    });
  }
}

/** What the server refused with, when it did. A code this build does not know counts as a broken connection. */
function refusalIn(code: number, reason: string): RefusalCode | null {
  return code === REFUSED_CLOSE && Object.hasOwn(REFUSALS, reason) ? (reason as RefusalCode) : null;
}
