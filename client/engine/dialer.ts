// Owns how a socket to the server is asked for: address, protocol version, and the token that must never stand in a URL.

import { PROTOCOL_VERSIONS, TOKEN_PROTOCOL } from "../../schemas/frames.ts";
import type { Dialer } from "./link.ts";
import type { Tokens } from "./token.ts";

export interface DialerOptions {
  /** Origin of the server, such as `https://kuvert.example`. */
  readonly server: string;
  /** `/api/conversations/<id>/socket` or `/api/mailbox/socket`. */
  readonly path: string;
  readonly tokens: Tokens;
  readonly WebSocket?: typeof WebSocket;
}

/** A dialer to one socket route. Every attempt carries a token that is good at that moment. */
export function createDialer({ server, path, tokens, WebSocket: Socket = WebSocket }: DialerOptions): Dialer {
  const url = new URL(path, server);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const versions = PROTOCOL_VERSIONS.map((version) => `kuvert.${version}`);
  let used: string | undefined;
  return {
    dial: async () => {
      used = await tokens.get();
      return new Socket(url.href, [...versions, TOKEN_PROTOCOL + used]);
    },
    drop: () => {
      if (used !== undefined) tokens.drop(used);
    },
  };
}
