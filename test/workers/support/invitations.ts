// Invites and the bodies of those who join by them.

import { expect } from "vitest";
import type { InviteId } from "../../../schemas/ids.ts";
import { call, newcomer, newInvite, type Person } from "./people.ts";

/** A new invite that the server has taken. */
export async function invited(owner: Person, options: Parameters<typeof newInvite>[0] = {}) {
  const invite = await newInvite(options);
  expect((await call("POST", "/api/invites", { token: owner.token, body: invite.body })).status).toBe(204);
  return invite;
}

/** Somebody new and the body by which they join. */
export async function joinBody(owner: Person, { id, secret }: { id: InviteId; secret: string }) {
  const person = await newcomer(owner.tenant);
  return { person, body: { invite: id, secret, member: person.introduction } };
}
