// A small real server on this machine's loopback, HTTP and WebSocket, that answers as a test says and keeps what it was asked.

import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** Values in the order they came, for tests that wait for the next one. */
export class Queue<Value> {
  readonly #values: Value[] = [];
  readonly #waiting: ((value: Value) => void)[] = [];

  push(value: Value): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#values.push(value);
    else waiting(value);
  }

  next(): Promise<Value> {
    const value = this.#values.shift();
    return value === undefined ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve(value);
  }

  /** How many came that nobody has taken. */
  get size(): number {
    return this.#values.length;
  }
}

export interface Loopback {
  readonly url: string;
  readonly asked: Asked[];
  /** Sockets that were let in. */
  readonly sockets: Queue<{ readonly socket: WebSocket; readonly request: IncomingMessage }>;
  /** Plain requests are answered by this. */
  answer: (asked: Asked, response: ServerResponse) => void | Promise<void>;
  /** While false, an upgrade gets no answer at all. */
  upgrades: boolean;
  stop(): Promise<void>;
}

/** Answers with JSON. */
export function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

/** Starts on a free port, or on `port`. */
export async function startLoopback(port = 0): Promise<Loopback> {
  const connections = new Set<Socket>();
  const webSockets = new WebSocketServer({ noServer: true, handleProtocols: () => "kuvert.1" });
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { method = "", url = "", headers } = request;
    const asked = { method, path: url, headers, body: Buffer.concat(chunks).toString() };
    loopback.asked.push(asked);
    await loopback.answer(asked, response);
  });
  server.on("connection", (connection) => {
    connections.add(connection);
    connection.on("close", () => connections.delete(connection));
  });
  server.on("upgrade", (request, connection, head) => {
    if (!loopback.upgrades) return;
    webSockets.handleUpgrade(request, connection, head, (socket) => loopback.sockets.push({ socket, request }));
  });
  const loopback: Loopback = {
    url: "",
    asked: [],
    sockets: new Queue(),
    answer: (_, response) => json(response, 404, {}),
    upgrades: true,
    stop: async () => {
      const closed = once(server, "close");
      server.close();
      for (const connection of connections) connection.destroy();
      await closed;
    },
  };
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return Object.assign(loopback, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
}
