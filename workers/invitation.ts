// Owns how an invite is made once, and what the holder of its secret may learn: which invite it is, and whether it still lets anybody in.

import { fromBase64url, toBase64url } from "../schemas/bytes.ts";
import type { InviteId, TenantId } from "../schemas/ids.ts";
import { Refusal } from "../schemas/refusal.ts";
import { insertInvite, type NewInvite, type OpenedInvite, openInvite } from "./directory/invites.ts";
import type { Env } from "./env.ts";

/** Makes an invite. May be repeated. @throws {Refusal} conflict — there is another of this id; unavailable */
export async function makeInvite(env: Env, tenant: TenantId, wanted: NewInvite): Promise<void> {
  const kept = await insertInvite(tenant, env.DIRECTORY, wanted);
  const same =
    kept.tenant === tenant &&
    kept.createdBy === wanted.createdBy &&
    kept.secretHash === wanted.secretHash &&
    kept.role === wanted.role &&
    kept.uses === wanted.uses &&
    kept.member === wanted.member &&
    kept.expiresAt - kept.createdAt === wanted.expiresAt - wanted.createdAt;
  if (!same) throw new Refusal("conflict");
}

/** The invite with this id and secret. @throws {Refusal} not_found — either is wrong, and nothing says which; unavailable */
export async function openBySecret(
  env: Env,
  { invite, secret }: { readonly invite: InviteId; readonly secret: string },
): Promise<OpenedInvite> {
  const digest = await crypto.subtle.digest("SHA-256", fromBase64url(secret) ?? new Uint8Array());
  const opened = await openInvite(env.DIRECTORY, { invite, secretHash: toBase64url(new Uint8Array(digest)) });
  if (opened === undefined) throw new Refusal("not_found");
  return opened;
}

/** Says why an invite lets nobody in. @throws {Refusal} tenant_suspended, invite_revoked, invite_expired, invite_used_up */
export function assertOpen(invite: OpenedInvite): void {
  if (invite.suspended) throw new Refusal("tenant_suspended");
  if (invite.revokedAt !== null) throw new Refusal("invite_revoked");
  if (invite.expiresAt <= Date.now()) throw new Refusal("invite_expired");
  if (invite.usesLeft === 0) throw new Refusal("invite_used_up");
}
