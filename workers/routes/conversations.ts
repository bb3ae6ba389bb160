// Conversations: founded and listed, their participants, and the socket to each. The object of a conversation has the last word.

import { Hono } from "hono";
import type * as v from "valibot";
import { ConversationBody, type ConversationsAnswer, ParticipantBody } from "../../schemas/api.ts";
import { toBase64url, utf8 } from "../../schemas/bytes.ts";
import { ConversationId, MemberId } from "../../schemas/ids.ts";
import { LIMITS } from "../../schemas/policy.ts";
import { isRefusal, Refusal } from "../../schemas/refusal.ts";
import { type App, type Caller, signedIn } from "../auth.ts";
import { insertConversation, listConversations } from "../directory/conversations.ts";
import { findSeat, insertSeat, listGone, removeSeat } from "../directory/participants.ts";
import type { Env } from "../env.ts";
import { forward } from "../forward.ts";
import { readBody, readValue } from "../input.ts";
import { reach } from "../reach.ts";
import { conversationStub } from "../residency.ts";

interface Place {
  readonly conversation: ConversationId;
  readonly member: MemberId;
}

const dismiss = (env: Env, caller: Caller, { conversation, member }: Place, by = caller.member) =>
  reach(async () => conversationStub(env, { ...caller, conversation }).dismiss({ by, role: caller.role, member }));

/** Dismisses whoever was removed from the tenant while it was being added: the removal could not know of this conversation yet. */
async function dropGone(env: Env, caller: Caller, conversation: ConversationId, members: readonly MemberId[]) {
  for (const member of await listGone(caller.tenant, env.DIRECTORY, members)) {
    await dismiss(env, caller, { conversation, member }, member);
    await removeSeat(caller.tenant, env.DIRECTORY, { conversation, member, now: Date.now() });
  }
}

/** The caller's own seat. @throws {Refusal} not_found — never in it, or there is no such conversation: nothing says which */
async function ownSeat(env: Env, { tenant, member }: Caller, id: string) {
  const conversation = readValue(ConversationId, id);
  const seat = await findSeat(tenant, env.DIRECTORY, { conversation, member });
  if (seat === undefined) throw new Refusal("not_found");
  return { conversation, ...seat };
}

export const conversations = new Hono<App>()
  .get("/:id/socket", (c) =>
    forward(c, (claims) => {
      const conversation = readValue(ConversationId, c.req.param("id"));
      return conversationStub(c.env, { ...claims, conversation });
    }),
  )
  .post("/", signedIn, async (c) => {
    const { caller } = c.var;
    const { tenant, residency, member, device } = caller;
    const { id: conversation, members: others } = await readBody(c, ConversationBody);
    const members = [...new Set([member, ...others])].sort();
    if (members.length > LIMITS.participants) throw new Refusal("quota");
    const digest = await crypto.subtle.digest("SHA-256", utf8(members.join()));
    const fingerprint = toBase64url(new Uint8Array(digest));
    const wanted = { id: conversation, createdBy: member, members, founding: fingerprint, now: Date.now() };
    const kept = await insertConversation(tenant, c.env.DIRECTORY, wanted);
    if (kept === undefined) throw new Refusal("not_found");
    if (kept.createdBy !== member || kept.founding !== fingerprint) throw new Refusal("conflict");
    const creator = { member, device };
    const founding = { tenant, residency, conversation, creator, members, decree: kept.decree };
    await reach(async () => conversationStub(c.env, { ...caller, conversation }).found(founding));
    await dropGone(c.env, caller, conversation, members);
    return c.body(null, 204);
  })
  .get("/", signedIn, async (c) => {
    const { tenant, member } = c.var.caller;
    const list = await listConversations(tenant, c.env.DIRECTORY, member);
    return c.json({ conversations: list } satisfies v.InferOutput<typeof ConversationsAnswer>);
  })
  .post("/:id/members", signedIn, async (c) => {
    const { caller } = c.var;
    const { tenant } = caller;
    const { member } = await readBody(c, ParticipantBody);
    const { conversation, active } = await ownSeat(c.env, caller, c.req.param("id"));
    if (!active) throw new Refusal("not_found");
    const before = await findSeat(tenant, c.env.DIRECTORY, { conversation, member });
    const { seated, active: known } = await insertSeat(tenant, c.env.DIRECTORY, {
      conversation,
      member,
      now: Date.now(),
    });
    if (!known) throw new Refusal("not_found");
    if (!seated) throw new Refusal("quota");
    try {
      await reach(async () =>
        conversationStub(c.env, { ...caller, conversation }).admit({ by: caller.member, member }),
      );
    } catch (error) {
      if (isRefusal(error) && error.code !== "unavailable" && before?.active !== true) {
        await removeSeat(tenant, c.env.DIRECTORY, { conversation, member, now: Date.now() });
      }
      throw error;
    }
    await dropGone(c.env, caller, conversation, [member]);
    return c.body(null, 204);
  })
  .delete("/:id/members/:member", signedIn, async (c) => {
    const { caller } = c.var;
    const { tenant } = caller;
    const member = readValue(MemberId, c.req.param("member"));
    const { conversation, active, createdBy } = await ownSeat(c.env, caller, c.req.param("id"));
    if (member !== caller.member) {
      if (!active) throw new Refusal("not_found");
      if ((await findSeat(tenant, c.env.DIRECTORY, { conversation, member })) === undefined)
        throw new Refusal("not_found");
      if (caller.role === "member" && createdBy !== caller.member) throw new Refusal("forbidden");
    }
    await dismiss(c.env, caller, { conversation, member });
    await removeSeat(tenant, c.env.DIRECTORY, { conversation, member, now: Date.now() });
    return c.body(null, 204);
  });
