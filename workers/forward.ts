// Owns how a request for a socket reaches an object: versions, the token among the subprotocols, and refusals a page can read.
// Asks no D1 for a device that is known to be in good standing.

import type { Context } from "hono";
import { PROTOCOL_VERSIONS, TOKEN_PROTOCOL } from "../schemas/frames.ts";
import { isRefusal, Refusal } from "../schemas/refusal.ts";
import { type App, verifyToken } from "./auth.ts";
import { CLAIMS_HEADER, type Claims } from "./claims.ts";
import { countRequest } from "./limits.ts";
import { reach } from "./reach.ts";
import { assertStanding } from "./standing.ts";
import { traceBug } from "./trace.ts";
import { refuseUpgrade } from "./upgrade.ts";

const NAME = /^kuvert\.\d{1,6}$/;
const VERSIONS: readonly string[] = PROTOCOL_VERSIONS.map((version) => `kuvert.${version}`);

/**
 * Forwards an upgrade to the object that `stubOf` names, with the verified claims of its token and nothing else of the request.
 * Everything that is refused from there on is refused by a socket that closes with the code, because a page cannot read the
 * answer to a failed upgrade.
 * @throws {Refusal} malformed — not an upgrade; version_unsupported — it offers no version at all
 */
export async function forward(c: Context<App>, stubOf: (claims: Claims) => Fetcher): Promise<Response> {
  if (c.req.header("upgrade")?.toLowerCase() !== "websocket") throw new Refusal("malformed");
  const offers = (c.req.header("sec-websocket-protocol") ?? "").split(",").map((offer) => offer.trim());
  const version = VERSIONS.find((name) => offers.includes(name));
  const selected = version ?? offers.find((offer) => NAME.test(offer));
  if (selected === undefined) throw new Refusal("version_unsupported");
  try {
    if (version === undefined) throw new Refusal("version_unsupported");
    const token = offers.find((offer) => offer.startsWith(TOKEN_PROTOCOL))?.slice(TOKEN_PROTOCOL.length);
    if (token === undefined) throw new Refusal("unauthenticated");
    const claims = await verifyToken(c.env, token);
    await countRequest(c.env, "API_LIMIT", claims.device);
    await assertStanding(c.env, claims);
    const headers = { upgrade: "websocket", [CLAIMS_HEADER]: JSON.stringify(claims) };
    return await reach(async () => stubOf(claims).fetch(c.req.url, { headers }));
  } catch (error) {
    if (!isRefusal(error)) traceBug("upgrade", error);
    return refuseUpgrade(isRefusal(error) ? error.code : "internal", selected);
  }
}
