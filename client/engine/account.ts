// Owns the account of a profile: making its keys, introducing them to the server, keeping the record. Knows no conversation.

import type * as v from "valibot";
import type * as body from "../../schemas/api.ts";
import { toBase64url } from "../../schemas/bytes.ts";
import { introductionPayload } from "../../schemas/credential.ts";
import { type DeviceId, type InviteId, type MemberId, newId, type TenantId } from "../../schemas/ids.ts";
import { DEFAULT_POLICY, type Residency, type Role } from "../../schemas/policy.ts";
import { Refusal } from "../../schemas/refusal.ts";
import type { Door, TokenAnswer } from "./api.ts";
import { certify, createDeviceKeys, createIdentityKeys, sign } from "./group/device-keys.ts";
import type { Me } from "./group/state.ts";
import { parseInviteLink } from "./invite-link.ts";
import { type AccountRecord, decodeRecord, encodeRecord } from "./records.ts";
import type { Sealing } from "./seal/seal.ts";
import type { Store } from "./store.ts";
import type { Account, InvitePreview } from "./view.ts";

const KEY = "account";

type NewMember = v.InferInput<typeof body.SignupBody>["member"];

/** The account of this profile; `undefined` when there is none yet. */
export async function loadAccount(store: Store): Promise<AccountRecord | undefined> {
  const kept = await store.get("meta", KEY);
  return kept === undefined ? undefined : decodeRecord<AccountRecord>(kept);
}

export async function saveAccount(store: Store, account: AccountRecord): Promise<void> {
  await store.write([{ table: "meta", key: KEY, value: encodeRecord(account) }]);
}

/** Forgets an account the server never took. */
export async function dropAccount(store: Store): Promise<void> {
  await store.write([{ table: "meta", key: KEY, value: null }]);
}

/** What it takes to enter: the server, a profile, and what that is sealed by. */
interface Means {
  readonly door: Door;
  readonly store: Store;
  readonly sealing?: Sealing | undefined;
}

/**
 * Founds a tenant with its owner and this device. The keys are durable before the server hears of them, so that a lost answer loses no account.
 * @throws {Refusal} any — the server said no; `unavailable` leaves a draft that may yet turn out to have been accepted
 */
export async function signUp(
  { door, store, sealing }: Means,
  input: { organisation: string; name: string; deviceName: string; residency: Residency },
): Promise<{ account: AccountRecord; token: TokenAnswer }> {
  const { organisation, name, deviceName, residency } = input;
  const tenant = { id: newId<TenantId>(), name: organisation, residency };
  const { account, member } = await draft({ tenant, id: newId(), name, role: "owner", deviceName, sealing });
  await saveAccount(store, account);
  return introduce(store, account, () => door.signUp({ tenant, member }));
}

/** Enters a tenant by an invite link, as somebody new or as the member it is for, under the name that one has. @throws {Refusal} as {@link signUp}; malformed — not an invite link */
export async function join(
  { door, store, sealing }: Means,
  { link, name, deviceName }: { link: string; name: string; deviceName: string },
): Promise<{ account: AccountRecord; token: TokenAnswer }> {
  const invitation = bodyOf(link);
  const { tenant, role, residency, returning } = await door.lookAtInvite(invitation);
  const who = returning ?? { id: newId<MemberId>(), name };
  const { account, member } = await draft({ tenant: { ...tenant, residency }, ...who, role, deviceName, sealing });
  await saveAccount(store, account);
  return introduce(store, account, () => door.join({ ...invitation, member }));
}

/** What an invite link offers. @throws {Refusal} malformed — not an invite link; invite_* — it is of no use any more */
export async function previewInvite(door: Door, link: string): Promise<InvitePreview> {
  const { tenant, inviter, role, residency, returning } = await door.lookAtInvite(bodyOf(link));
  return { organisation: tenant.name, inviter, role, residency, returning: returning?.name ?? null };
}

/** This device as groups know it. */
export function meOf({ tenant, member, device, identityKeys, certificate, signatureKeys }: AccountRecord): Me {
  const identityKey = identityKeys.publicKey;
  return { tenant: tenant.id, member: member.id, device, identityKey, certificate, signatureKey: signatureKeys };
}

export function accountView({ tenant, member, device }: AccountRecord): Account {
  return { tenant, member, device };
}

function bodyOf(link: string): { invite: InviteId; secret: string } {
  const { invite, secret } = parseInviteLink(link);
  return { invite, secret: toBase64url(secret) };
}

async function draft(input: {
  tenant: AccountRecord["tenant"];
  id: MemberId;
  name: string;
  role: Role;
  deviceName: string;
  sealing: Sealing | undefined;
}): Promise<{ account: AccountRecord; member: NewMember }> {
  const { tenant, id, name, role, deviceName, sealing } = input;
  const identityKeys = await createIdentityKeys();
  const member = { id, name, role };
  const { account, device } = await draftDevice({ tenant, member, identityKeys }, { deviceName, sealing });
  return { account, member: { id: member.id, name, identityKey: toBase64url(identityKeys.publicKey), device } };
}

/** Who a member is, with the identity key: all that its devices have in common. */
export type Membership = Pick<AccountRecord, "tenant" | "member" | "identityKeys">;

/** A new device of a member: its account, not yet known to the server, and how it introduces itself. */
export async function draftDevice(
  { tenant, member, identityKeys }: Membership,
  { deviceName, sealing }: { readonly deviceName: string; readonly sealing?: Sealing | undefined },
): Promise<{ account: AccountRecord; device: NewMember["device"] }> {
  const ids = { tenant: tenant.id, member: member.id, device: newId<DeviceId>() };
  const { signatureKey } = await createDeviceKeys();
  const certificate = await certify(identityKeys.privateKey, { ...ids, signatureKey: signatureKey.publicKey });
  const introduction = introductionPayload({ ...ids, identityKey: identityKeys.publicKey });
  const proof = await sign(signatureKey.privateKey, introduction);
  const account: AccountRecord = {
    state: "draft",
    code: null,
    tenant: { id: tenant.id, name: tenant.name, residency: tenant.residency },
    member,
    device: ids.device,
    identityKeys,
    signatureKeys: signatureKey,
    certificate,
    policy: DEFAULT_POLICY,
  };
  const device = {
    id: ids.device,
    name: deviceName,
    signatureKey: toBase64url(signatureKey.publicKey),
    certificate: toBase64url(certificate),
    proof: toBase64url(proof),
    ...(sealing !== undefined && { share: await sealing.introduce() }),
  };
  return { account, device };
}

/** Introduces a device whose account is durable already. @throws {Refusal} any — the server said no; a final one takes the account with it */
export async function introduce(
  store: Store,
  account: AccountRecord,
  ask: () => Promise<TokenAnswer>,
): Promise<{ account: AccountRecord; token: TokenAnswer }> {
  try {
    const token = await ask();
    const ready: AccountRecord = { ...account, state: "ready" };
    await saveAccount(store, ready);
    return { account: ready, token };
  } catch (error) {
    if (!(error instanceof Refusal) || (error.code !== "unavailable" && error.code !== "internal"))
      await dropAccount(store);
    throw error;
  }
}
