// What the platform runs: the HTTP server and the two kinds of object.

import { DurableObject } from "cloudflare:workers";
import { app } from "./app.ts";
import type { Env } from "./env.ts";
export class ConversationObject extends DurableObject<Env> {
  async found(_: unknown) {}
  async admit(_: unknown) {}
  async dismiss(_: unknown) {}
  async expel(_: unknown) {}
  override async fetch(): Promise<Response> {
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    return new Response(null, { status: 101, webSocket: client });
  }
}
export class MailboxObject extends DurableObject<Env> {
  async open(_: unknown) {}
  async stock(_: unknown) {
    return { stock: 1 };
  }
  async claim() {
    return [] as { device: string; bytes: Uint8Array }[];
  }
  async expel(_: unknown) {}
  async close(_: unknown) {}
  override async fetch(): Promise<Response> {
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    return new Response(null, { status: 101, webSocket: client });
  }
}

export default { fetch: app.fetch } satisfies ExportedHandler<Env>;
