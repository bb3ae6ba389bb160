// A small company to ask things of: an owner, a member, a conversation of the two, and an open invite.

import { type ConversationId, newId } from "../../../schemas/ids.ts";
import { call, join, newInvite, type Person, signUp } from "./people.ts";

export interface World {
  readonly owner: Person;
  readonly member: Person;
  readonly conversation: ConversationId;
  readonly invite: string;
}

/** Makes one. */
export async function newWorld(): Promise<World> {
  const owner = await signUp();
  const member = await join(owner);
  const made = await newInvite();
  await call("POST", "/api/invites", { token: owner.token, body: made.body });
  const conversation = newId<ConversationId>();
  await call("POST", "/api/conversations", {
    token: owner.token,
    body: { id: conversation, members: [member.member] },
  });
  return { owner, member, conversation, invite: made.id };
}
