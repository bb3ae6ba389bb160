// Members: joining by invite, the list of everybody, roles, removal, and the key packages of others.

import { Hono } from "hono";
import type * as v from "valibot";
import { type ClaimAnswer, JoinBody, MemberPatch, type MembersAnswer } from "../../schemas/api.ts";
import { toBase64url } from "../../schemas/bytes.ts";
import { MemberId } from "../../schemas/ids.ts";
import { Refusal } from "../../schemas/refusal.ts";
import { assertIntroduction, enter, type NewMember, reenter, welcome } from "../admission.ts";
import { announceChange } from "../announcement.ts";
import { type App, assertAdmin, type Caller, signedIn } from "../auth.ts";
import { departMember } from "../departures.ts";
import type { OpenedInvite } from "../directory/invites.ts";
import { findMember, insertJoiner, listMembers, type MemberRow, removeMember, setRole } from "../directory/members.ts";
import type { Env } from "../env.ts";
import { readBody, readValue } from "../input.ts";
import { assertOpen, openBySecret } from "../invitation.ts";
import { addressOf, countRequest } from "../limits.ts";
import { reach } from "../reach.ts";
import { mailboxStub } from "../residency.ts";

/** A member of the caller's own tenant, also a removed one. @throws {Refusal} not_found — absent, or another tenant's: nothing says which */
async function known(env: Env, caller: Caller, id: string): Promise<MemberRow> {
  const row = await findMember(caller.tenant, env.DIRECTORY, readValue(MemberId, id));
  if (row === undefined) throw new Refusal("not_found");
  return row;
}

/** Lets somebody new in by an invite. As {@link enter}. */
function enterNew(env: Env, { id: invite, tenant }: OpenedInvite, member: NewMember): Promise<boolean> {
  const joiner = { member: { ...member, now: Date.now() }, device: member.device.id, invite };
  return enter(tenant, env.DIRECTORY, { entry: [insertJoiner(tenant, env.DIRECTORY, joiner)], member, invite });
}

export const members = new Hono<App>()
  .post("/", async (c) => {
    await countRequest(c.env, "INVITE_LIMIT", addressOf(c.req.raw));
    const { invite: id, secret, member } = await readBody(c, JoinBody);
    const invite = await openBySecret(c.env, { invite: id, secret });
    const { tenant } = invite;
    await assertIntroduction(tenant, member);
    const isIn =
      invite.returning === null ? await enterNew(c.env, invite, member) : await reenter(c.env, invite, member);
    if (!isIn) {
      // Read again: this request may have lost the race for the last use
      assertOpen(await openBySecret(c.env, { invite: id, secret }));
      throw new Refusal(invite.returning === null ? "unavailable" : "conflict");
    }
    const answer = await welcome(c.env, tenant, member);
    c.executionCtx.waitUntil(announceChange(c.env, invite));
    return c.json(answer);
  })
  .get("/", signedIn, async (c) => {
    const rows = await listMembers(c.var.caller.tenant, c.env.DIRECTORY);
    const summaries = rows.map(({ inviteId: _, ...summary }) => summary);
    return c.json({ members: summaries } satisfies v.InferOutput<typeof MembersAnswer>);
  })
  .patch("/:id", signedIn, async (c) => {
    const { caller } = c.var;
    const { tenant } = caller;
    const { role } = await readBody(c, MemberPatch);
    const member = await known(c.env, caller, c.req.param("id"));
    assertAdmin(caller);
    if (member.role === "owner") throw new Refusal("forbidden");
    if (member.removedAt !== null) throw new Refusal("not_found");
    await setRole(tenant, c.env.DIRECTORY, { member: member.id, role, now: Date.now() });
    c.executionCtx.waitUntil(announceChange(c.env, caller));
    return c.body(null, 204);
  })
  .delete("/:id", signedIn, async (c) => {
    const { caller } = c.var;
    const { tenant } = caller;
    const member = await known(c.env, caller, c.req.param("id"));
    assertAdmin(caller);
    if (member.role === "owner") throw new Refusal("forbidden");
    await removeMember(tenant, c.env.DIRECTORY, { member: member.id, now: Date.now() });
    await departMember(c.env, caller, member.id);
    c.executionCtx.waitUntil(announceChange(c.env, caller));
    return c.body(null, 204);
  })
  .post("/:id/key-packages", signedIn, async (c) => {
    const { tenant, residency } = c.var.caller;
    const { id: member, removedAt } = await known(c.env, c.var.caller, c.req.param("id"));
    if (removedAt !== null) throw new Refusal("not_found");
    const claimed = await reach(async () => mailboxStub(c.env, { tenant, residency, member }).claim());
    const packages = claimed.map(({ device, bytes }) => ({ device, bytes: toBase64url(bytes) }));
    return c.json({ packages } satisfies v.InferOutput<typeof ClaimAnswer>);
  });
