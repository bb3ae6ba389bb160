// Owns one conversation's socket: when it is open, how far the log has come in on it, and asking for more. Knows frames, not their meaning.

import { type ClientFrame, type EnvelopesFrame, ServerFrame } from "../../schemas/frames.ts";
import type { ConversationId } from "../../schemas/ids.ts";
import { type Ending, Link } from "./link.ts";
import type { Surroundings } from "./surroundings.ts";

/** Whom a line serves. */
export interface LineOptions {
  readonly conversation: ConversationId;
  readonly surroundings: Surroundings;
  /** The last seq taken in. */
  readonly cursor: () => number;
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
        onOpen();
        this.#resumedAfter = cursor();
        this.send({ type: "resume", after: this.#resumedAfter });
      },
      onFrame: (frame) => {
        this.#note(frame);
        onFrame(frame);
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

  /** Asks for the page after `after`, unless one is on its way. */
  pull(after: number): void {
    if (this.#pulling) return;
    this.#live = false;
    this.#pulling = this.send({ type: "pull", after });
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
    if (!this.#pulling) return;
    this.#pulling = false;
    this.#live = (envelopes.at(-1)?.seq ?? head) >= head;
  }
}
