// Owns the shape of every identifier. An id is 16 random bytes written as 22 base64url characters, checked by this shape before any use.

import * as v from "valibot";
import { fromBase64url, randomBytes, toBase64url } from "./bytes.ts";

// 16 bytes leave 4 unused bits in the last character, so only A, Q, g and w may end an id: each id has one spelling
const ID = /^[A-Za-z0-9_-]{21}[AQgw]$/;

const id = <Name extends string>(name: Name) => v.pipe(v.string(), v.regex(ID), v.brand(name));

export const TenantId = id("TenantId");
export type TenantId = v.InferOutput<typeof TenantId>;
export const MemberId = id("MemberId");
export type MemberId = v.InferOutput<typeof MemberId>;
export const DeviceId = id("DeviceId");
export type DeviceId = v.InferOutput<typeof DeviceId>;
export const ConversationId = id("ConversationId");
export type ConversationId = v.InferOutput<typeof ConversationId>;
export const InviteId = id("InviteId");
export type InviteId = v.InferOutput<typeof InviteId>;
/** What a recovery phrase is looked up by; derived from the phrase. */
export const RecoveryId = id("RecoveryId");
export type RecoveryId = v.InferOutput<typeof RecoveryId>;
/** Names a passkey of a member. */
export const PasskeyId = id("PasskeyId");
export type PasskeyId = v.InferOutput<typeof PasskeyId>;
/** Names the one permission by which a further device of a member enters. */
export const GrantId = id("GrantId");
export type GrantId = v.InferOutput<typeof GrantId>;
/** Names the meeting place of two devices that share a code; derived from the code. */
export const LinkId = id("LinkId");
export type LinkId = v.InferOutput<typeof LinkId>;
/** Names a sealed object in a member's vault. */
export const VaultId = id("VaultId");
export type VaultId = v.InferOutput<typeof VaultId>;

/** Names one handover of history to another device; derived from the history's key. */
export const HandoverId = id("HandoverId");
export type HandoverId = v.InferOutput<typeof HandoverId>;

/** A new random id of the wanted kind. None begins with a dash: people type the beginning of an id, and a command line takes a dash for an option. */
export function newId<
  Id extends TenantId | MemberId | DeviceId | ConversationId | InviteId | VaultId | GrantId | PasskeyId,
>(): Id {
  for (;;) {
    const made = toBase64url(randomBytes(16));
    if (!made.startsWith("-")) return made as Id;
  }
}

/** The 16 bytes of a well-formed id. */
export function idBytes(id: string): Uint8Array<ArrayBuffer> {
  const bytes = fromBase64url(id);
  if (bytes?.length !== 16) throw new TypeError("not an id");
  return bytes;
}

/** MLS group_id of a conversation's generation: the id's 16 bytes, then the generation as 32-bit big-endian. */
export function groupId(conversation: ConversationId, generation: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(20);
  bytes.set(idBytes(conversation));
  new DataView(bytes.buffer).setUint32(16, generation);
  return bytes;
}

/** Reads a group_id back; `undefined` when it was not made by {@link groupId}. */
export function readGroupId(bytes: Uint8Array): { conversation: ConversationId; generation: number } | undefined {
  if (bytes.length !== 20) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { conversation: toBase64url(bytes.subarray(0, 16)) as ConversationId, generation: view.getUint32(16) };
}
