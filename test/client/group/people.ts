// Owns the cast of the group tests: members with devices, their key packages, and a server in miniature that orders what they send.

import { type Committed, commit, confirmPending } from "../../../client/engine/group/commit.ts";
import {
  certify,
  createDeviceKeys,
  createIdentityKeys,
  type KeyPair,
} from "../../../client/engine/group/device-keys.ts";
import { createGroup, loadGroup } from "../../../client/engine/group/group.ts";
import { type Joined, join } from "../../../client/engine/group/join.ts";
import { createKeyPackages, type OwnKeyPackage } from "../../../client/engine/group/key-packages.ts";
import { type Opened, open } from "../../../client/engine/group/open.ts";
import { epochWrites, headWrite, pastWrite, pendingWrite, ratchetWrite } from "../../../client/engine/group/records.ts";
import type { Context, Group, Me, Write } from "../../../client/engine/group/state.ts";
import { toHex } from "../../../schemas/bytes.ts";
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

/** A certified device of a member; new unless told otherwise. */
export async function createMe(member: Member, given: Partial<Pick<Me, "device" | "signatureKey">> = {}): Promise<Me> {
  const { signatureKey = (await createDeviceKeys()).signatureKey, device = newId<DeviceId>() } = given;
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

/** Exactly `Count` items, so that tests can name each of them. */
type Row<Item, Count extends 1 | 2 | 3 | 4> = {
  1: [Item];
  2: [Item, Item];
  3: [Item, Item, Item];
  4: [Item, Item, Item, Item];
}[Count];

/** So many devices of as many members. */
export async function crowd<const Count extends 1 | 2 | 3 | 4>(count: Count): Promise<Row<Context, Count>> {
  return (await Promise.all(Array.from({ length: count }, () => createContext()))) as Row<Context, Count>;
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

/** A confirmed group of `contexts`, made by the first; groups and rows in the same order, and the bundle's public parts. */
export async function gather<const Contexts extends readonly [Context, ...Context[]]>(
  contexts: Contexts,
  conversation = conversationId(),
) {
  const [founder, ...rest] = contexts;
  const created = await createGroup({ context: founder, conversation, generation: 0, now: NOW });
  const keyPackages = await Promise.all(rest.map(({ me }) => keyPackageOf(me)));
  const add = rest.map(({ me }, index) => addition(me, keyPackages[index] as OwnKeyPackage));
  const made = await commitOf(created.group, { add });
  const welcome = made.bundle.welcome?.bytes ?? new Uint8Array();
  const confirmed = confirmPending(made.group);
  const groups = [confirmed.group];
  const rows = [new Rows()];
  for (const { writes } of [created, made, confirmed]) rows[0]?.apply(writes);
  for (const [index, context] of rest.entries()) {
    const keyPackage = keyPackages[index]?.privateRecord ?? new Uint8Array();
    const joined = await joinOf({ welcome, keyPackage, context, conversation });
    groups.push(joined.group);
    rows.push(new Rows());
    rows.at(-1)?.apply(joined.writes);
  }
  const { groupInfo } = made.bundle;
  return {
    conversation,
    groups: groups as { [At in keyof Contexts]: Group },
    rows: rows as { [At in keyof Contexts]: Rows },
    welcome,
    groupInfo,
    keyPackages,
  };
}

/** A commit that must succeed. */
export async function commitOf(group: Group, order: Partial<Parameters<typeof commit>[1]> = {}): Promise<Committed> {
  const made = await commit(group, { now: NOW, ...order });
  if (made.kind !== "committed") throw new Error(`commit refused: ${made.reason}`);
  return made;
}

/** A join that must succeed. */
export async function joinOf(order: Parameters<typeof join>[0]): Promise<Joined> {
  const joined = await join(order);
  if (joined.kind !== "joined") throw new Error(`join refused: ${joined.reason}`);
  return joined;
}

/** Opens an envelope accepted now. */
export function openNow(group: Group, bytes: Uint8Array, acceptedAt = NOW): Promise<Opened> {
  return open(group, bytes, { acceptedAt });
}

/** Everything a group holds in memory, as text: to see that nothing changed. */
export function snapshot(group: Group): string {
  const { live } = group;
  const writes = live === null ? [] : [headWrite(live.context.groupId, group), ...epochWrites(live)];
  for (const past of group.past) {
    const leaves = Object.keys(past.ratchets).map((index) => Number(index) / 2);
    writes.push(pastWrite(past), ...leaves.map((leaf) => ratchetWrite(past, leaf)));
  }
  writes.push(pendingWrite(group.pending));
  return writes.map(({ key, value }) => `${key} ${value === null ? "" : toHex(value)}`).join("\n");
}
