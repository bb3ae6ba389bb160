// A WebSocket with somebody in the middle who reads, changes, drops, repeats and withholds frames, both ways.

import {
  type ClientFrame,
  decodeFrame,
  encodeFrame,
  MailboxServerFrame,
  ClientFrame as ReadableClientFrame,
  ServerFrame,
} from "../../schemas/frames.ts";

export type Incoming = ServerFrame | MailboxServerFrame;

/** What the one in the middle does. Each answers with the frames that go on instead, in their order; `null` for a connection that breaks off in it. */
export interface Tampering {
  incoming?: (frame: Incoming, url: string) => readonly Incoming[];
  outgoing?: (frame: ClientFrame, url: string) => readonly ClientFrame[] | null;
  /** How many bytes seem to wait in the socket. */
  waiting?: () => number;
}

/** A constructor to hand to an engine. `tampering` may be changed at any time. */
export function tamperedSocket(tampering: Tampering): {
  WebSocket: typeof WebSocket;
  cut: () => void;
  /** The paths of all sockets that are open or being opened. */
  paths: () => string[];
} {
  const open = new Set<WebSocket>();

  class Tampered {
    onopen: (() => void) | null = null;
    onmessage: ((event: { data: unknown }) => void) | null = null;
    onclose: ((event: { code: number; reason: string }) => void) | null = null;
    readonly #socket: WebSocket;

    constructor(url: string, protocols: string[]) {
      const socket = new WebSocket(url, protocols);
      socket.binaryType = "arraybuffer";
      socket.onopen = () => this.onopen?.();
      socket.onclose = ({ code, reason }) => {
        open.delete(socket);
        this.onclose?.({ code, reason });
      };
      socket.onmessage = ({ data }) => {
        if (typeof data === "string") return this.onmessage?.({ data });
        const bytes = new Uint8Array(data);
        const frame = decodeFrame(url.includes("/mailbox/") ? MailboxServerFrame : ServerFrame, bytes);
        if (frame === undefined) throw new Error("the server sent what no schema knows");
        for (const passed of tampering.incoming?.(frame, url) ?? [frame]) {
          // Under Node the codec's bytes may be a view of a shared pool
          this.onmessage?.({ data: new Uint8Array(encodeFrame(passed)).buffer });
        }
      };
      open.add(socket);
      this.#socket = socket;
    }

    set binaryType(_: string) {
      // Always array buffers
    }

    get readyState(): number {
      return this.#socket.readyState;
    }

    get bufferedAmount(): number {
      return tampering.waiting?.() ?? this.#socket.bufferedAmount;
    }

    send(data: string | Uint8Array<ArrayBuffer>): void {
      const frame = typeof data === "string" ? undefined : decodeFrame(ReadableClientFrame, data);
      if (frame === undefined || tampering.outgoing === undefined) this.#socket.send(data);
      else this.#pass(tampering.outgoing(frame, this.#socket.url));
    }

    close(code?: number, reason?: string): void {
      this.#socket.close(code, reason);
    }

    #pass(frames: readonly ClientFrame[] | null): void {
      if (frames === null) this.#socket.close();
      else for (const frame of frames) this.#socket.send(encodeFrame(frame));
    }
  }

  return {
    WebSocket: Tampered as unknown as typeof WebSocket,
    paths: () => [...open].filter(({ readyState }) => readyState <= 1).map(({ url }) => new URL(url).pathname),
    cut: () => {
      for (const socket of open) socket.close();
    },
  };
}
