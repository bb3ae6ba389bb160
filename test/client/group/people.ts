// Owns the cast of the group tests: members with devices, their key packages, and a server in miniature that orders what they send.

import {
  certify,
  createDeviceKeys,
  createIdentityKeys,
  type KeyPair,
} from "../../../client/engine/group/device-keys.ts";
import { loadGroup } from "../../../client/engine/group/group.ts";
import { createKeyPackages, type OwnKeyPackage } from "../../../client/engine/group/key-packages.ts";
import type { Context, Group, Me, Write } from "../../../client/engine/group/state.ts";
import { type ConversationId, type DeviceId, type MemberId, newId, type TenantId } from "../../../schemas/ids.ts";

export const TENANT: TenantId = newId<TenantId>();
export const NOW = Date.now();

/** A member with one identity key; it may have many devices. */
export interface Member {
  readonly tenant: TenantId;
  readonly id: MemberId;
  readonly identity: KeyPair;
}

export async function createMember(tenant: TenantId = TENANT): Promise<Member> {
  return { tenant, id: newId<MemberId>(), identity: await createIdentityKeys() };
}

/** A certified device of a member. */
export async function createMe(member: Member): Promise<Me> {
  const { signatureKey } = await createDeviceKeys();
  const device = newId<DeviceId>();
  const names = { tenant: member.tenant, member: member.id, device };
  const certificate = await certify(member.identity.privateKey, { ...names, signatureKey: signatureKey.publicKey });
  return { ...names, identityKey: member.identity.publicKey, certificate, signatureKey };
}

/** A context that trusts everybody and allows everything, unless told otherwise. */
export function contextOf(me: Me, rules: Partial<Omit<Context, "me">> = {}): Context {
  return { me, trust: () => true, mayChange: () => true, ...rules };
}

/** A new device of a new member, with its context. */
export async function createContext(rules: Partial<Omit<Context, "me">> = {}, tenant = TENANT): Promise<Context> {
  return contextOf(await createMe(await createMember(tenant)), rules);
}

export async function keyPackageOf(me: Me, lastResort = false, now = NOW): Promise<OwnKeyPackage> {
  const [made] = await createKeyPackages({ me, count: 1, lastResort, now });
  if (made === undefined) throw new Error("no key package");
  return made;
}

/** What to add a device with. */
export function addition(me: Me, keyPackage: OwnKeyPackage) {
  return { member: me.member, device: me.device, keyPackage: keyPackage.publicBytes };
}

/** The rows of one group, as a store would hold them. */
export class Rows {
  readonly #rows = new Map<string, Uint8Array>();
  /** Bytes and rows put by the last {@link apply}. */
  last = { bytes: 0, rows: 0 };

  apply(writes: readonly Write[]): void {
    this.last = { bytes: 0, rows: 0 };
    for (const { key, value } of writes) {
      if (value === null) this.#rows.delete(key);
      else this.#rows.set(key, value.slice());
      this.last.bytes += value?.length ?? 0;
      this.last.rows++;
    }
  }

  load(context: Context): Group {
    const group = loadGroup(this.list(), context);
    if (group === undefined) throw new Error("no group in these rows");
    return group;
  }

  list(): { key: string; value: Uint8Array }[] {
    return [...this.#rows].map(([key, value]) => ({ key, value: value.slice() }));
  }
}

export const conversationId = (): ConversationId => newId<ConversationId>();
