// Invites: made, listed and revoked by owner and admins; looked at by whoever holds the secret.

import { Hono } from "hono";
import type * as v from "valibot";
import { InviteBody, type InviteLookAnswer, InviteLookBody, type InvitesAnswer } from "../../schemas/api.ts";
import { InviteId, type MemberId, type TenantId } from "../../schemas/ids.ts";
import { Refusal } from "../../schemas/refusal.ts";
import { type App, assertAdmin, signedIn } from "../auth.ts";
import { listInvites, revokeInvite } from "../directory/invites.ts";
import { findMember } from "../directory/members.ts";
import type { Env } from "../env.ts";
import { readBody, readValue } from "../input.ts";
import { assertOpen, makeInvite, openBySecret } from "../invitation.ts";
import { addressOf, countRequest } from "../limits.ts";

/**
 * The role of a member who may be invited anew. @throws {Refusal} not_found — absent, removed, or another tenant's; forbidden — the owner, whom nobody
 * in the company can put out
 */
async function roleOf(env: Env, tenant: TenantId, member: MemberId): Promise<"admin" | "member"> {
  const row = await findMember(tenant, env.DIRECTORY, member);
  if (row === undefined || row.removedAt !== null) throw new Refusal("not_found");
  if (row.role === "owner") throw new Refusal("forbidden");
  return row.role;
}

export const invites = new Hono<App>()
  .post("/look", async (c) => {
    await countRequest(c.env, "INVITE_LIMIT", addressOf(c.req.raw));
    const invite = await openBySecret(c.env, await readBody(c, InviteLookBody));
    assertOpen(invite);
    return c.json({
      tenant: { id: invite.tenant, name: invite.tenantName },
      inviter: invite.inviter,
      role: invite.role,
      residency: invite.residency,
      returning: invite.returning,
    } satisfies v.InferOutput<typeof InviteLookAnswer>);
  })
  .post("/", signedIn, async (c) => {
    const { tenant, member } = c.var.caller;
    assertAdmin(c.var.caller);
    const { member: returning = null, ...body } = await readBody(c, InviteBody);
    const { id, secretHash, uses, expiresIn } = body;
    const role = returning === null ? body.role : await roleOf(c.env, tenant, returning);
    if (returning !== null && uses !== 1) throw new Refusal("malformed");
    const createdAt = Date.now();
    const expiresAt = createdAt + expiresIn;
    const wanted = { id, secretHash, role, uses, createdBy: member, createdAt, expiresAt, member: returning };
    await makeInvite(c.env, tenant, wanted);
    return c.body(null, 204);
  })
  .get("/", signedIn, async (c) => {
    assertAdmin(c.var.caller);
    const rows = await listInvites(c.var.caller.tenant, c.env.DIRECTORY);
    const summaries = rows.map(({ id, role, usesLeft, createdAt, expiresAt, revokedAt, createdBy, member }) => {
      return { id, role, usesLeft, createdAt, expiresAt, revokedAt, createdBy, member };
    });
    return c.json({ invites: summaries } satisfies v.InferOutput<typeof InvitesAnswer>);
  })
  .delete("/:id", signedIn, async (c) => {
    assertAdmin(c.var.caller);
    const invite = readValue(InviteId, c.req.param("id"));
    const found = await revokeInvite(c.var.caller.tenant, c.env.DIRECTORY, { invite, now: Date.now() });
    if (!found) throw new Refusal("not_found");
    return c.body(null, 204);
  });
