// Owns one conversation's socket: when it is open, how far the log has come in on it, asking for more, and giving it up when what was said on
// it stays unanswered. Knows frames, not their meaning.

import { type ClientFrame, type EnvelopesFrame, ServerFrame } from "../../schemas/frames.ts";
import type { ConversationId } from "../../schemas/ids.ts";
import { type Ending, Link } from "./link.ts";
import type { Surroundings } from "./surroundings.ts";
import { Unanswered } from "./unanswered.ts";

const PAGES_AHEAD = 3;
/**
 * What asks for an answer is given so long, in ms: longer than it takes to notice that a socket is dead. Whenever a new socket has not helped it is
 * given twice as long, up to so often.
 */
const ANSWER_WITHIN = { least: 40_000, doublings: 4 };
/** While bytes are leaving, the socket is looked at again after this long, in ms. */
const LOOK_AGAIN = 10_000;

/** Whom a line serves. */
export interface LineOptions {
  readonly conversation: ConversationId;
  readonly surroundings: Surroundings;
  /** The last seq taken in. */
  readonly cursor: () => number;
  /** How many frames have come in and were not taken in yet. */
  readonly waiting: () => number;
  readonly onFrame: (frame: ServerFrame) => void;
  /** The socket is new: nothing sent on an earlier one counts. */
  readonly onOpen: () => void;
  readonly onClose: (ending: Ending) => void;
  readonly onRoom: () => void;
}

/** The socket of a conversation. */
export class Line {
  readonly #options: LineOptions;
  #link: Link<typeof ServerFrame> | null = null;
  /** The log has come in up to its head, so the server pushes what is new. */
  #live = false;
  #pulling = false;
  #resumedAfter = 0;
  /** The last seq that came in on this socket, taken in or not. */
  #received = 0;
  readonly #unanswered = new Unanswered();
  /** Calls off the next look at what is not answered; null when nothing waits. */
  #watching: (() => void) | null = null;
  /** How many sockets in a row were given up without an answer to anything but `resume`. */
  #vain = 0;

  constructor(options: LineOptions) {
    this.#options = options;
  }

  /** There is a socket, or one is being dialled. */
  get wanted(): boolean {
    return this.#link !== null;
  }

  get live(): boolean {
    return this.#live;
  }

  /** Opens the socket if there is none; it then mends itself. */
  open(): void {
    const { surroundings, conversation, cursor, onFrame, onOpen, onClose, onRoom } = this.#options;
    this.#link ??= new Link({
      dialer: surroundings.dialer(`/api/conversations/${conversation}/socket`),
      schema: ServerFrame,
      clock: surroundings.clock,
      onOpen: () => {
        this.#live = false;
        this.#pulling = false;
        this.#received = 0;
        this.#unwatch();
        onOpen();
        this.#resumedAfter = cursor();
        this.send({ type: "resume", after: this.#resumedAfter });
      },
      onFrame: (frame) => {
        this.#heard(frame);
        onFrame(frame);
        this.#note(frame);
      },
      onClose: (ending) => {
        this.#live = false;
        this.#unwatch();
        if (ending.terminal) this.close();
        onClose(ending);
      },
      onRoom,
    });
  }

  /** Closes the socket and stays closed. */
  close(): void {
    this.#link?.close();
    this.#link = null;
    this.#live = false;
    this.#pulling = false;
    this.#unwatch();
  }

  /** Dials now if it waits to. */
  wake(): void {
    this.#link?.wake();
  }

  /** False when the frame did not leave: nothing is open, or too much is waiting. */
  send(frame: ClientFrame): boolean {
    const hasLeft = this.#link?.send(frame) ?? false;
    if (hasLeft) {
      this.#unanswered.left(frame, this.#options.surroundings.clock.now());
      this.#watch();
    }
    return hasLeft;
  }

  /** Asks for the page after what has come in, unless one is on its way. */
  more(): void {
    this.pull(Math.max(this.#received, this.#options.cursor()));
  }

  /** Asks for the page after `after`, unless one is on its way. */
  pull(after: number): void {
    if (this.#pulling) return;
    this.#live = false;
    this.#received = after;
    this.#pulling = this.send({ type: "pull", after });
  }

  /** What came in is not taken in for now, so the log has not come in up to its head. */
  hold(): void {
    this.#live = false;
  }

  /** The page that was asked for will not come. */
  forgo(): void {
    this.#pulling = false;
  }

  /** Everything up to `seq` is durable here. */
  confirm(seq: number): void {
    this.send({ type: "confirm", seq });
  }

  get #patience(): number {
    return ANSWER_WITHIN.least * 2 ** Math.min(this.#vain, ANSWER_WITHIN.doublings);
  }

  /** Looks at what is not answered when the oldest of it has waited for long. */
  #watch(least = 0): void {
    const { clock } = this.#options.surroundings;
    const { since } = this.#unanswered;
    if (this.#watching !== null || since === undefined) return;
    const before = this.#link?.waiting ?? 0;
    const wait = Math.min(since + this.#patience - clock.now(), this.#patience);
    this.#watching = clock.after(Math.max(wait, least), () => {
      this.#watching = null;
      this.#look(before);
    });
  }

  /** As long as what waits in the socket gets less, the way is slow and not shut. */
  #look(before: number): void {
    const { since } = this.#unanswered;
    if (since === undefined) return;
    const age = this.#options.surroundings.clock.now() - since;
    const left = this.#link?.waiting ?? 0;
    if (left > 0 && left < before) this.#watch(LOOK_AGAIN);
    // A clock that was set back keeps nobody waiting
    else if (age >= 0 && age < this.#patience) this.#watch();
    else {
      this.#vain += 1;
      this.#link?.renew();
    }
  }

  #heard(frame: ServerFrame): void {
    const answered = this.#unanswered.heard(frame);
    if (answered === "nothing") return;
    if (answered === "more") this.#vain = 0;
    this.#callOff();
    this.#watch();
  }

  #unwatch(): void {
    this.#callOff();
    this.#unanswered.clear();
  }

  #callOff(): void {
    this.#watching?.();
    this.#watching = null;
  }

  #note(frame: ServerFrame): void {
    if (frame.type === "ready") {
      this.#link?.resumed();
      this.#live = frame.head.seq === this.#resumedAfter;
    } else if (frame.type === "behind") this.#live = false;
    else if (frame.type === "envelopes") this.#arrived(frame);
  }

  #arrived({ envelopes, head }: EnvelopesFrame): void {
    const last = envelopes.at(-1)?.seq ?? head;
    if (!this.#pulling) return;
    this.#pulling = false;
    this.#received = last;
    this.#live = last >= head;
    // The next page travels while this one is taken in
    if (!this.#live && this.#options.waiting() < PAGES_AHEAD) this.more();
  }
}
