// Owns how a socket is answered, by the Worker or by an object, also when it is refused.

import { PROTOCOL_VERSIONS } from "../schemas/frames.ts";
import { REFUSED_CLOSE, type RefusalCode } from "../schemas/refusal.ts";

const CURRENT = `kuvert.${PROTOCOL_VERSIONS[0]}`;

/** Answers an upgrade: the other end of `client` is served by the object. */
export function acceptUpgrade(client: WebSocket, protocol: string = CURRENT): Response {
  return new Response(null, { status: 101, webSocket: client, headers: { "Sec-WebSocket-Protocol": protocol } });
}

/**
 * Answers an upgrade by a socket that is closed with the refusal: a browser cannot read the status of a refused upgrade.
 * `protocol` is one the client has offered, or its browser would not show the refusal either.
 */
export function refuseUpgrade(code: RefusalCode, protocol: string = CURRENT): Response {
  const { 0: client, 1: server } = new WebSocketPair();
  server.accept();
  server.close(REFUSED_CLOSE, code);
  return acceptUpgrade(client, protocol);
}
