// Owns one socket to the server that mends itself: dialling, back-off, heartbeat, and the end of it. Knows frames only as things
// that a schema can check; what they mean is for the conversation and the mailbox.

import type * as v from "valibot";
import type { ClientFrame, MailboxClientFrame } from "../../schemas/frames.ts";
import type { RefusalCode } from "../../schemas/refusal.ts";
import type { Clock } from "./clock.ts";
import type { Tokens } from "./token.ts";

/** Makes sockets to one place. */
export interface Dialer {
  /** A new socket that is still connecting. @throws {Refusal} whatever getting a token was refused with */
  dial(): Promise<WebSocket>;
  /** The server turned the last token down: take a new one next time. */
  drop(): void;
}

/** How a socket ended. `terminal`: the link will not dial again. */
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
  /** Once per socket that was dialled, opened or not. Not called by {@link Link.close}. */
  readonly onClose: (ending: Ending) => void;
  /** There is room again after {@link Link.send} said no to an open socket. */
  readonly onRoom?: () => void;
  readonly clock?: Clock;
}

/** A socket that stays: starts dialling when made. */
export declare class Link<Schema extends v.GenericSchema> {
  constructor(options: LinkOptions<Schema>);
  /** Whether the socket is open now. */
  get open(): boolean;
  /** Hands a frame to the socket; false when it is not open or too much is waiting in it. @throws {Refusal} too_large — no frame may be that big */
  send(frame: ClientFrame | MailboxClientFrame): boolean;
  /** The server has answered `resume`: the way is good, so the next back-off starts small again. */
  resumed(): void;
  /** Dials now instead of later; an open socket is asked for a sign of life. */
  wake(): void;
  /** Ends it for good; no more callbacks. */
  close(): void;
}

export declare function createDialer(options: {
  readonly server: string;
  /** `/api/conversations/<id>/socket` or `/api/mailbox/socket`. */
  readonly path: string;
  readonly tokens: Tokens;
  readonly WebSocket?: typeof WebSocket;
}): Dialer;
