// One end of a socket to an object, as the Worker would have opened it: every frame is kept until a test asks for it.

import type { GenericSchema, InferOutput } from "valibot";
import { type ClientFrame, decodeFrame, encodeFrame, type MailboxClientFrame } from "../../../schemas/frames.ts";
import { CLAIMS_HEADER, type Claims } from "../../../workers/claims.ts";

interface Waiting<Frame> {
  readonly wants: (frame: Frame) => boolean;
  readonly give: (frame: Frame) => void;
}

export class Line<Schema extends GenericSchema> {
  readonly #socket: WebSocket;
  readonly #unread: InferOutput<Schema>[] = [];
  readonly #waiting: Waiting<InferOutput<Schema>>[] = [];
  /** Resolves when the object has closed the socket. */
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;

  private constructor(socket: WebSocket, schema: Schema) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => this.#take(schema, data));
    this.closed = new Promise((resolve) => {
      socket.addEventListener("close", ({ code, reason }) => resolve({ code, reason }));
    });
    socket.accept();
  }

  static async open<Schema extends GenericSchema>(
    object: Fetcher,
    claims: Claims,
    schema: Schema,
  ): Promise<Line<Schema>> {
    const headers = { upgrade: "websocket", [CLAIMS_HEADER]: JSON.stringify(claims) };
    const { webSocket } = await object.fetch("http://kuvert.test/socket", { headers });
    if (webSocket === null) throw new Error("not upgraded");
    webSocket.binaryType = "arraybuffer";
    return new Line(webSocket, schema);
  }

  say(frame: ClientFrame | MailboxClientFrame): void {
    this.raw(encodeFrame(frame));
  }

  raw(message: Uint8Array | string): void {
    this.#socket.send(message);
  }

  close(): void {
    this.#socket.close(1000, "bye");
  }

  /** The first frame not asked for yet that fits, now or when it comes. */
  next<Frame extends InferOutput<Schema>>(wants: (frame: InferOutput<Schema>) => frame is Frame): Promise<Frame> {
    const index = this.#unread.findIndex(wants);
    if (index >= 0) return Promise.resolve(this.#unread.splice(index, 1)[0] as Frame);
    return new Promise((give) => this.#waiting.push({ wants, give: give as (frame: InferOutput<Schema>) => void }));
  }

  /** What came and was not asked for. */
  unread(): readonly InferOutput<Schema>[] {
    return this.#unread;
  }

  #take(schema: Schema, data: unknown): void {
    const frame = data instanceof ArrayBuffer ? decodeFrame(schema, new Uint8Array(data)) : undefined;
    if (frame === undefined) throw new Error("the object sent something that is no frame");
    const index = this.#waiting.findIndex(({ wants }) => wants(frame));
    if (index < 0) this.#unread.push(frame);
    else this.#waiting.splice(index, 1)[0]?.give(frame);
  }
}
