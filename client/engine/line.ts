// Owns one conversation's socket: when it is open, how far the log has come in on it, and asking for more. Knows frames, not their meaning.

import { type ClientFrame, type EnvelopesFrame, ServerFrame } from "../../schemas/frames.ts";
import type { ConversationId } from "../../schemas/ids.ts";
import { type Ending, Link } from "./link.ts";
import type { Surroundings } from "./surroundings.ts";

const PAGES_AHEAD = 3;

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
        onOpen();
        this.#resumedAfter = cursor();
        this.send({ type: "resume", after: this.#resumedAfter });
      },
      onFrame: (frame) => {
        onFrame(frame);
        this.#note(frame);
      },
      onClose: (ending) => {
        this.#live = false;
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
  }

  /** Dials now if it waits to. */
  wake(): void {
    this.#link?.wake();
  }

  /** False when the frame did not leave: nothing is open, or too much is waiting. */
  send(frame: ClientFrame): boolean {
    return this.#link?.send(frame) ?? false;
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
