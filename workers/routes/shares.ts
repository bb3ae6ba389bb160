// Shares: the server's part of what opens a device's store at rest. Asked for before anything is signed in, so the secret that names a share
// is all the proof there is, and travels in the body.

import { Hono } from "hono";
import type * as v from "valibot";
import { type ShareAnswer, ShareBody, ShareChangeBody } from "../../schemas/api.ts";
import { fromBase64url, toBase64url } from "../../schemas/bytes.ts";
import { Refusal } from "../../schemas/refusal.ts";
import type { App } from "../auth.ts";
import { findLinkShare } from "../directory/links.ts";
import { openShare, replaceShare } from "../directory/shares.ts";
import { readBody } from "../input.ts";
import { addressOf, countRequest } from "../limits.ts";

const hashOf = async (secret: string): Promise<string> => {
  const digest = await crypto.subtle.digest("SHA-256", fromBase64url(secret) ?? new Uint8Array());
  return toBase64url(new Uint8Array(digest));
};

export const shares = new Hono<App>()
  .post("/open", async (c) => {
    // A whole office may open its browsers from one address, so the narrow limit is the share's
    await countRequest(c.env, "API_LIMIT", addressOf(c.req.raw));
    const { secret, verifier } = await readBody(c, ShareBody);
    const unlockHash = await hashOf(secret);
    await countRequest(c.env, "SIGN_IN_LIMIT", `share ${unlockHash}`);
    const verifierHash = verifier === null ? null : await hashOf(verifier);
    const now = Date.now();
    const opening = await openShare(c.env.DIRECTORY, { unlockHash, verifierHash, now });
    if (opening.kind === "open") return c.json({ share: opening.share } satisfies v.InferOutput<typeof ShareAnswer>);
    if (opening.kind === "destroyed") throw new Refusal("device_revoked");
    if (opening.kind === "suspended") throw new Refusal("tenant_suspended");
    if (opening.kind === "absent") {
      // Whoever is not in yet has left it with the code
      const share = await findLinkShare(c.env.DIRECTORY, { unlockHash, now });
      if (share === undefined) throw new Refusal("not_found");
      return c.json({ share } satisfies v.InferOutput<typeof ShareAnswer>);
    }
    if (opening.kind === "early") {
      throw new Refusal("rate_limited", { reason: "passphrase", retryAfter: opening.retryAt - now });
    }
    if (opening.kind === "wrong") {
      const retryAfter = Math.max(0, opening.retryAt - now);
      throw new Refusal("forbidden", { reason: "wrong", left: opening.left, retryAfter });
    }
    throw new Refusal("forbidden", { reason: opening.kind });
  })
  .post("/change", async (c) => {
    await countRequest(c.env, "API_LIMIT", addressOf(c.req.raw));
    const { secret, share, next } = await readBody(c, ShareChangeBody);
    const unlockHash = await hashOf(secret);
    await countRequest(c.env, "SIGN_IN_LIMIT", `share ${unlockHash}`);
    const outcome = await replaceShare(c.env.DIRECTORY, { unlockHash, share, next });
    if (outcome === "destroyed") throw new Refusal("device_revoked");
    if (outcome === "suspended") throw new Refusal("tenant_suspended");
    if (outcome === "absent") throw new Refusal("not_found");
    return c.body(null, 204);
  });
