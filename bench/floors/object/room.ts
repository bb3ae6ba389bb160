// Two bare Durable Objects that store and broadcast: an insert per message, and adaptive group commit. Nothing is authenticated,
// deduplicated, hashed or validated: the floor under the product's conversation object. Frames: u32 count, u32 seq, then payloads.

import { DurableObject } from "cloudflare:workers";

interface Env {
  readonly BARE: DurableObjectNamespace;
  readonly GROUPED: DurableObjectNamespace;
}

class Room extends DurableObject<Env> {
  seq = 0;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS log (seq INTEGER PRIMARY KEY, bytes BLOB)");
  }

  override async fetch(): Promise<Response> {
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    return new Response(null, { status: 101, webSocket: client });
  }

  tell(payloads: readonly ArrayBuffer[]): void {
    const length = payloads.reduce((sum, { byteLength }) => sum + byteLength, 8);
    const frame = new Uint8Array(length);
    const view = new DataView(frame.buffer);
    view.setUint32(0, payloads.length);
    view.setUint32(4, this.seq);
    let offset = 8;
    for (const payload of payloads) {
      frame.set(new Uint8Array(payload), offset);
      offset += payload.byteLength;
    }
    for (const socket of this.ctx.getWebSockets()) socket.send(frame);
  }
}

export class BareRoom extends Room {
  override webSocketMessage(_socket: WebSocket, message: ArrayBuffer): void {
    this.ctx.storage.sql.exec("INSERT INTO log VALUES (?, ?)", ++this.seq, message);
    this.tell([message]);
  }
}

export class GroupedRoom extends Room {
  #queue: ArrayBuffer[] = [];
  #flushedAt = 0;
  #timer = false;

  override webSocketMessage(_socket: WebSocket, message: ArrayBuffer): void {
    this.#queue.push(message);
    if (this.#timer) return;
    const window = Math.max(5, 0.05 * this.ctx.getWebSockets().length);
    const wait = this.#flushedAt + window - Date.now();
    if (wait > 0) {
      this.#timer = true;
      setTimeout(() => this.#flush(), wait);
    } else this.#flush();
  }

  #flush(): void {
    this.#timer = false;
    this.#flushedAt = Date.now();
    const queue = this.#queue;
    this.#queue = [];
    for (const payload of queue) this.ctx.storage.sql.exec("INSERT INTO log VALUES (?, ?)", ++this.seq, payload);
    this.tell(queue);
  }
}

export default {
  fetch(request: Request, env: Env): Promise<Response> {
    const { pathname } = new URL(request.url);
    const namespace = pathname.startsWith("/bare/") ? env.BARE : env.GROUPED;
    return namespace.getByName(pathname).fetch(request);
  },
} satisfies ExportedHandler<Env>;
