// A link, the real server at its far end, and the clock between them, for tests of the one socket.

import type { RawData, WebSocket as ServerSocket } from "ws";
import { createDialer } from "../../client/engine/dialer.ts";
import { type Dialer, type Ending, Link } from "../../client/engine/link.ts";
import type { Tokens } from "../../client/engine/token.ts";
import { ClientFrame, decodeFrame, ServerFrame } from "../../schemas/frames.ts";
import { type Loopback, Queue, startLoopback } from "./loopback.ts";
import { ManualClock } from "./manual-clock.ts";

const head = { seq: 0, hash: new Uint8Array(32), epoch: 0, generation: 0 };
/** Some frame that a server may send. */
export const READY: ServerFrame = { type: "ready", head, first: 0, delivered: 0, confirmed: 0, now: 5 };

/** Tokens t1, t2, … : a new one whenever the last was dropped. */
export class CountingTokens implements Tokens {
  issued = 0;
  dropped: string[] = [];
  failure: unknown;

  async get(): Promise<string> {
    if (this.failure !== undefined) throw this.failure;
    if (this.issued === this.dropped.length) this.issued++;
    return `t${this.issued}`;
  }

  drop(token: string): void {
    this.dropped.push(token);
  }

  adopt(): void {}
}

interface Start {
  readonly tokens?: CountingTokens;
  readonly dialer?: Dialer;
}

/** Owns a loopback server, a standing clock and every link made in one test. */
export class LinkBench {
  readonly clock = new ManualClock();
  server: Loopback;
  readonly #links: Link<typeof ServerFrame>[] = [];

  private constructor(server: Loopback) {
    this.server = server;
  }

  static async start(): Promise<LinkBench> {
    return new LinkBench(await startLoopback());
  }

  /** A new link and everything it tells. */
  start({ tokens = new CountingTokens(), dialer }: Start = {}) {
    const events = {
      opened: new Queue<true>(),
      frames: new Queue<ServerFrame>(),
      closed: new Queue<Ending>(),
      room: new Queue<true>(),
      /** One for every frame and every ending. */
      heard: new Queue<true>(),
    };
    const link = new Link({
      dialer: dialer ?? createDialer({ server: this.server.url, path: "/api/mailbox/socket", tokens }),
      schema: ServerFrame,
      onOpen: () => events.opened.push(true),
      onFrame: (frame) => {
        events.frames.push(frame);
        events.heard.push(true);
      },
      onClose: (ending) => {
        events.closed.push(ending);
        events.heard.push(true);
      },
      onRoom: () => events.room.push(true),
      clock: this.clock,
    });
    this.#links.push(link);
    return { link, tokens, ...events };
  }

  /** The server's side of the next socket. */
  async accept() {
    const { socket, request } = await this.server.sockets.next();
    return { ...listen(socket), request };
  }

  /** A new link with an open socket, and the server's side of it. */
  async connect(options?: Start) {
    const near = this.start(options);
    const there = await this.accept();
    await near.opened.next();
    return { near, there };
  }

  async stop(): Promise<void> {
    for (const link of this.#links) link.close();
    await this.server.stop();
  }
}

/** Both ends of an open socket. */
export type Connected = Awaited<ReturnType<LinkBench["connect"]>>;

function listen(socket: ServerSocket) {
  const texts = new Queue<string>();
  const frames = new Queue<ClientFrame | undefined>();
  const closed = new Queue<{ code: number; reason: string }>();
  socket.on("message", (data: RawData, binary: boolean) => {
    if (binary) frames.push(decodeFrame(ClientFrame, data as Buffer));
    else texts.push(data.toString());
  });
  socket.on("close", (code, reason) => closed.push({ code, reason: reason.toString() }));
  return { socket, texts, frames, closed };
}
