// Owns how an object answers the upgrade of a socket, also when it refuses it.

import { PROTOCOL_VERSIONS } from "../schemas/frames.ts";
import { REFUSED_CLOSE, type RefusalCode } from "../schemas/refusal.ts";

/** Answers an upgrade: the other end of `client` is served by the object. */
export function acceptUpgrade(client: WebSocket): Response {
  const headers = { "Sec-WebSocket-Protocol": `kuvert.${PROTOCOL_VERSIONS[0]}` };
  return new Response(null, { status: 101, webSocket: client, headers });
}

/** Answers an upgrade by a socket that is closed with the refusal: a browser cannot read the status of a refused upgrade. */
export function refuseUpgrade(code: RefusalCode): Response {
  const { 0: client, 1: server } = new WebSocketPair();
  server.accept();
  server.close(REFUSED_CLOSE, code);
  return acceptUpgrade(client);
}
