// A wire between browsers and the server with somebody on it, who reads, drops and changes the frames of every socket, both ways. Playwright
// sees no socket of a worker; on this one nothing is compressed either.

import { once } from "node:events";
import { createServer, type IncomingMessage, request } from "node:http";
import type { AddressInfo } from "node:net";
import { type RawData, WebSocket, WebSocketServer } from "ws";
import { ClientFrame, decodeFrame, encodeFrame, MailboxServerFrame, ServerFrame } from "../../../schemas/frames.ts";
import type { Tampering } from "../../support/tampered-socket.ts";

export interface Wire {
  /** The server's address over this wire. */
  readonly url: string;
  stop(): Promise<void>;
}

/** What may be passed on in a closing: the codes of a connection that broke off may not (RFC 6455 §7.4.1). */
function hangUp(socket: WebSocket, code: number, reason: Buffer): void {
  if (code === 1000 || code >= 3000) socket.close(code, reason);
  else socket.terminate();
}

/** Carries whatever one end says to the other, as `pass` would have it; `undefined` lets it through as it is. */
function carry(from: WebSocket, to: WebSocket, pass: (bytes: Uint8Array) => readonly Uint8Array[] | undefined): void {
  from.on("message", (data: RawData, isBinary) => {
    const bytes = data as Buffer;
    for (const each of (isBinary ? pass(bytes) : undefined) ?? [bytes]) to.send(each, { binary: isBinary });
  });
  from.on("close", (code, reason) => hangUp(to, code, reason));
  from.on("error", () => to.terminate());
}

/** Lays a wire on the loopback to the server at `server`. */
export async function layWire(server: string, tampering: Tampering): Promise<Wire> {
  const { hostname, port } = new URL(server);
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  const far = ({ url = "", headers }: IncomingMessage): WebSocket => {
    const offered = (headers["sec-websocket-protocol"] ?? "").split(/, */);
    // The server compares the two
    const { host, origin } = headers;
    const told = { ...(host !== undefined && { host }), ...(origin !== undefined && { origin }) };
    return new WebSocket(`ws://${hostname}:${port}${url}`, offered, { perMessageDeflate: false, headers: told });
  };
  const near = createServer((asked, answer) => {
    const { method, url: path, headers } = asked;
    const passed = request({ hostname, port, method, path, headers }, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
    });
    passed.on("error", () => answer.destroy());
    asked.on("error", () => passed.destroy());
    asked.pipe(passed);
  });
  near.on("upgrade", (asked, connection, head) => {
    const url = new URL(asked.url ?? "", server).href;
    const Told = url.includes("/mailbox/") ? MailboxServerFrame : ServerFrame;
    const other = far(asked);
    other.on("error", () => connection.destroy());
    other.once("open", () => {
      sockets.options.handleProtocols = () => other.protocol;
      sockets.handleUpgrade(asked, connection, head, (socket) => {
        carry(socket, other, (bytes) => {
          const frame = decodeFrame(ClientFrame, bytes);
          return frame && (tampering.outgoing?.(frame, url) ?? [frame]).map(encodeFrame);
        });
        carry(other, socket, (bytes) => {
          const frame = decodeFrame(Told, bytes);
          return frame && (tampering.incoming?.(frame, url) ?? [frame]).map(encodeFrame);
        });
      });
    });
  });
  near.listen(0, "127.0.0.1");
  await once(near, "listening");
  return {
    url: `http://127.0.0.1:${(near.address() as AddressInfo).port}`,
    stop: async () => {
      for (const socket of sockets.clients) socket.terminate();
      const closed = once(near, "close");
      near.close();
      near.closeAllConnections();
      await closed;
    },
  };
}
