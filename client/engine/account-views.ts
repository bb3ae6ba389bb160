// Owns how the lists around an account look to whoever draws them. Asks nothing.

import type { DeviceId } from "../../schemas/ids.ts";
import type { Api } from "./api.ts";
import type { DeviceView, InviteView } from "./view.ts";

type Listed<Key extends "devices" | "invites"> = Awaited<ReturnType<Api[Key]>>[number];

/** A device as the device `own` shows it. */
export function deviceView(own: DeviceId, device: Listed<"devices">): DeviceView {
  const { id, name, createdAt, lastUsedAt, revokedAt, lockedOut, kind } = device;
  return { id, name, createdAt, lastUsedAt, revoked: revokedAt !== null, own: id === own, lockedOut, kind };
}

export function inviteView(invite: Listed<"invites">): InviteView {
  const { id, role, usesLeft, expiresAt, revokedAt, member, createdBy } = invite;
  return { id, role, usesLeft, expiresAt, revoked: revokedAt !== null, member, byOperator: createdBy === null };
}
