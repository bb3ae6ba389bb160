// Owns the shape of a group in memory: the live epoch, the few past ones, the commit in flight. Does no cryptography and no storage.

import type { GroupContext } from "ts-mls/groupContext.js";
import type { KeySchedule } from "ts-mls/keySchedule.js";
import type { PrivateKeyPath } from "ts-mls/privateKeyPath.js";
import type { RatchetTree } from "ts-mls/ratchetTree.js";
import type { SecretTree } from "ts-mls/secretTree.js";
import type { ConversationId, DeviceId, MemberId, TenantId } from "../../../schemas/ids.ts";
import type { KeyPair } from "./device-keys.ts";

/** This device, as it enters groups. */
export interface Me {
  readonly tenant: TenantId;
  readonly member: MemberId;
  readonly device: DeviceId;
  readonly identityKey: Uint8Array;
  readonly certificate: Uint8Array;
  readonly signatureKey: KeyPair;
}

/** A device as its certified credential names it. */
export interface Device {
  readonly member: MemberId;
  readonly device: DeviceId;
  readonly identityKey: Uint8Array;
}

/** A device as its credential claims it, with the key that signs its messages. */
export interface Claim extends Device {
  readonly signatureKey: Uint8Array;
}

/** A device on its leaf of the ratchet tree. */
export interface Peer extends Claim {
  readonly leaf: number;
}

/** What a commit does to the roster. `external`: `by` let itself in again, replacing its own leaf if it had one. */
export interface Change {
  readonly by: Device;
  readonly added: readonly Device[];
  readonly removed: readonly Device[];
  readonly external: boolean;
}

/**
 * Whether a device is known to be whom it claims to be; asked when it enters. Answered from memory, without waiting. A no may turn into a yes
 * once more is known, a yes never into a no: otherwise a device that follows late would not follow where the others went.
 */
export type Trust = (claim: Claim) => boolean;

/**
 * Whether this change of the roster is allowed. Asked before the commit's signature is checked, so it must have no effects; and it must
 * give the same answer on every device, or the conversation falls apart.
 */
export type MayChange = (change: Change) => boolean;

/** Who this device is and whom it believes; never stored with a group. */
export interface Context {
  readonly me: Me;
  readonly trust: Trust;
  readonly mayChange: MayChange;
}

/** What opens messages of one epoch. `ratchets` is sparse: one entry per occupied leaf, at the leaf's node index. */
export interface Epoch {
  readonly number: number;
  readonly context: GroupContext;
  readonly tree: RatchetTree;
  readonly senderDataSecret: Uint8Array;
  readonly ratchets: SecretTree;
}

/** The current epoch: also seals, commits and follows commits. */
export interface Live extends Epoch {
  readonly keySchedule: KeySchedule;
  readonly privatePath: PrivateKeyPath;
  readonly confirmationTag: Uint8Array;
}

/** An own commit on its way to the server and back; `digest` recognises it. */
export interface Pending {
  readonly digest: Uint8Array;
  readonly change: Change;
  readonly next: Live;
}

/**
 * One generation of a conversation as an immutable value. `live` is null before an external join is confirmed and after removal;
 * `ended` is then the epoch in which this device was removed.
 */
export interface Group {
  readonly conversation: ConversationId;
  readonly generation: number;
  readonly context: Context;
  readonly live: Live | null;
  readonly past: readonly Epoch[];
  readonly pending: Pending | null;
  readonly ended: number | null;
}

/** One row to put, or with null to delete; keys are relative to the group. */
export interface Write {
  readonly key: string;
  readonly value: Uint8Array | null;
}

/** A new group with all that must be stored for it, in one transaction with the caller's own rows. */
export interface Step {
  readonly group: Group;
  readonly writes: readonly Write[];
  /** Secrets of the old value; hand them to {@link wipe} once the writes are durable and the old value is out of use. */
  readonly spent: readonly Uint8Array[];
}

/** Overwrites used-up secrets. Best effort: the engine may have copied them. */
export function wipe(spent: readonly Uint8Array[]): void {
  for (const secret of spent) secret.fill(0);
}

/** A device stripped to what a {@link Device} shows. */
export function toDevice({ member, device, identityKey }: Device): Device {
  return { member, device, identityKey };
}

/** Whether two name the same device of the same member. */
export function sameDevice(a: Pick<Device, "member" | "device">, b: Pick<Device, "member" | "device">): boolean {
  return a.member === b.member && a.device === b.device;
}

/** The epoch as a safe integer; MLS counts in 64 bits. */
export function epochNumber(epoch: bigint): number {
  if (epoch > BigInt(Number.MAX_SAFE_INTEGER)) throw new RangeError("epoch out of range");
  return Number(epoch);
}
