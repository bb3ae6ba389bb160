// Owns handing a member over from one device to another, identity and history alike: what the linking device seals and what the new one makes
// of it. The history goes through the vault and is destroyed there once it has arrived.

import { expand } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import type { HandoverShelf } from "../../../schemas/api.ts";
import { randomBytes, toBase64url, utf8 } from "../../../schemas/bytes.ts";
import type { HandoverId, VaultId } from "../../../schemas/ids.ts";
import type { LinkHandover } from "../../../schemas/linking.ts";
import { LIMITS } from "../../../schemas/policy.ts";
import { Refusal } from "../../../schemas/refusal.ts";
import { draftDevice, introduce, loadAccount, type Membership, saveAccount } from "../account.ts";
import { createDoor, type DoorOptions } from "../api.ts";
import { engineRows } from "../backup/engine-rows.ts";
import { type KeeperOptions, keepBackup } from "../backup/keeper.ts";
import { forgetBackup } from "../backup/ledger.ts";
import { isPair, packMembership } from "../backup/membership.ts";
import { findBackup, type Restored, type RestoreOptions, restoreBackup } from "../backup/restore.ts";
import { relist } from "../backup/settle.ts";
import { type Clock, systemClock } from "../clock.ts";
import { sign } from "../group/device-keys.ts";
import type { AccountRecord, Bytes } from "../records.ts";
import { savePhrase } from "../recovery/phrase-record.ts";
import type { Sealing } from "../seal/seal.ts";
import { ServerTime } from "../server-time.ts";
import type { Store } from "../store.ts";
import { Timers } from "../timers.ts";
import { createTokens } from "../token.ts";
import { createVault, type Vault } from "../vault.ts";
import type { Left } from "./handing.ts";
import { enrolLinked, makeGrant, type Showing } from "./linking.ts";
import { giveUpHistory, isHistoryPending, loadPending, pendingWrite } from "./pending.ts";

/** How often a device looks whether all of its history has been uploaded, in ms. */
const INTERVAL = 2_000;

/** Where a history goes, and who is told how far it is. `now` in ms by the server's clock. */
export interface Upload extends Pick<KeeperOptions, "store" | "vault" | "now" | "onProgress"> {}

/** The shelf of one history: no other one touches it, whoever of the member hands over to whom meanwhile. */
export function shelfOf(history: Uint8Array): HandoverShelf {
  return `handover.${toBase64url(expand(sha256, history, utf8("history shelf"), 16)) as HandoverId}`;
}

/**
 * Seals this profile's history onto its shelf. Returns the key that opens it. Called again with the same key after an interruption it
 * goes on with what is missing; {@link endHistory} is to follow.
 * @throws {Refusal} quota; unavailable — call again
 */
export async function sealHistory(
  upload: Upload,
  account: AccountRecord,
  history = randomBytes(32),
): Promise<Uint8Array<ArrayBuffer>> {
  const keys = { tenant: account.tenant.id, member: account.member.id, backupKey: history };
  // Timers are of the device that restores, so there are none to note here
  const portable = engineRows({ note: () => undefined });
  const options = { ...upload, keys, device: account.device, shelf: shelfOf(history), portable } as const;
  const outcome = await keepBackup(options, { account: packMembership(account), takeOver: true });
  if (outcome.kind !== "kept") throw new Refusal("unavailable", { reason: outcome.kind });
  return history;
}

/** Says of a history that nothing more will come, or is wanted. May be repeated. `now` in ms by the server's clock. @throws {Refusal} quota, unavailable */
export async function endHistory(
  { vault, now }: Pick<Upload, "vault" | "now">,
  history: Uint8Array<ArrayBuffer>,
): Promise<void> {
  await vault.put(endId(history), randomBytes(32), { expiresAt: Math.floor(now()) + LIMITS.handingLife });
}

/** Whether that was said. @throws {Refusal} unavailable */
export async function hasEnded(vault: Pick<Vault, "get">, history: Uint8Array): Promise<boolean> {
  return (await vault.get(endId(history))) !== undefined;
}

/** Where it is said that a history has ended. Only the history's key tells, and what lies there says nothing. */
export function endId(history: Uint8Array): VaultId {
  return toBase64url(expand(sha256, history, utf8("history end"), 16)) as VaultId;
}

/** Destroys a history on its shelf, and what was said of it. @throws {Refusal} unavailable */
export async function dropHistory(vault: Pick<Vault, "list" | "delete">): Promise<void> {
  for (const { id } of await vault.list()) await vault.delete(id);
}

/**
 * Hands a member over to the device that has answered. Only after a person has compared the digits. `now` in ms by the server's clock; `keep` as in
 * {@link Showing.confirm}.
 */
export async function handOver(
  showing: Pick<Showing, "confirm">,
  account: AccountRecord,
  how: Pick<LinkHandover, "history" | "recovery"> & {
    readonly now: number;
    readonly keep?: (left: Left) => Promise<void>;
  },
): Promise<void> {
  const { history, recovery, now, keep } = how;
  const { tenant, member, device, identityKeys, signatureKeys } = account;
  const by = { tenant: tenant.id, member: member.id, by: device, now };
  const grant = await makeGrant(signatureKeys, by);
  await showing.confirm({ tenant, member, identityKeys: copyOf(identityKeys), grant, history, recovery }, keep);
}

export interface TakeOverOptions extends DoorOptions {
  /** A profile without an account; afterwards the engine can be opened on it. */
  readonly store: Store;
  readonly clock?: Clock;
  readonly onProgress?: RestoreOptions["onProgress"];
}

/**
 * Makes a profile a new device of the member that was handed over. Its history, if there is one, is for {@link fetchHistory} to fetch.
 * @throws {Refusal} forbidden (reason "identity") — the identity keys are not a pair; not_found, conflict, device_revoked, quota — the server
 * does not let the device in; unavailable
 */
export async function takeOver(
  options: Omit<TakeOverOptions, "onProgress"> & {
    readonly deviceName: string;
    readonly sealing?: Sealing | undefined;
  },
  handover: LinkHandover,
): Promise<void> {
  const { store, sealing, deviceName, clock = systemClock, ...door } = options;
  const membership: Membership = handover;
  if (!(await isPair(membership.identityKeys))) throw new Refusal("forbidden", { reason: "identity" });
  const { account, device } = await draftDevice(membership, { deviceName, sealing });
  await saveAccount(store, account);
  if (handover.recovery !== null) await savePhrase(store, { ...handover.recovery, words: null });
  const { history, grant } = handover;
  if (history !== null) await store.write([pendingWrite({ history, since: grant.expiresAt - LIMITS.linkLife })]);
  const { token } = await introduce(store, account, () => enrolLinked(door, handover, device));
  // Kept in the profile, so that the history's timers run by the server's clock
  await (await ServerTime.load(store, clock)).observe(token.now);
}

/**
 * Waits until all of the history that was handed over has been uploaded, fetches what has not arrived yet, and destroys it in the vault. May be called
 * again until it succeeds; what is missing of it for good is counted. @throws {Refusal} unavailable, quota — call again; device_revoked,
 * tenant_suspended
 */
export async function fetchHistory(options: TakeOverOptions): Promise<Restored> {
  const { store, clock = systemClock, onProgress } = options;
  const [account, pending] = [await loadAccount(store), await loadPending(store)];
  if (account === undefined || pending === undefined) return { rows: 0, missing: 0 };
  const { history, since } = pending;
  const time = await ServerTime.load(store, clock);
  const [vault, shelf] = [vaultFor(options, account, history), shelfOf(history)];
  while (!(await hasEnded(vault, history)) && time.now() < since + LIMITS.handingLife) {
    if (!(await isHistoryPending(store))) return { rows: 0, missing: 1 };
    await new Promise<void>((resolve) => clock.after(INTERVAL, resolve));
  }
  const keys = { tenant: account.tenant.id, member: account.member.id, backupKey: history };
  const found = await findBackup({ keys, vault });
  const portable = engineRows(new Timers({ store, clock, time }));
  const how = { keys, shelf, vault, store, portable, now: () => time.now() } as const;
  const restored = found && (await restoreBackup({ ...how, ...(onProgress && { onProgress }) }, found));
  await relist(store, account.member.id);
  await forgetBackup(store, shelf);
  await giveUpHistory(store);
  await dropHistory(vault);
  return restored ?? { rows: 0, missing: 1 };
}

/**
 * Goes without a history that has not arrived: what lies of it in the vault is destroyed, and the device that hands it over is told.
 * @throws {Refusal} unavailable — it goes by itself in time
 */
export async function declineHistory(options: TakeOverOptions): Promise<void> {
  const { store, clock = systemClock } = options;
  const [account, pending] = [await loadAccount(store), await loadPending(store)];
  await giveUpHistory(store);
  if (account === undefined || pending === undefined) return;
  const { history } = pending;
  await forgetBackup(store, shelfOf(history));
  const vault = vaultFor(options, account, history);
  // Said before anything is destroyed: whatever comes in between is seen to by the other device, which looks for it before and after everything it puts there
  const time = await ServerTime.load(store, clock);
  const isOver = await hasEnded(vault, history);
  if (!isOver) await endHistory({ vault, now: () => time.now() }, history);
  for (const { id } of await vault.list()) if (isOver || id !== endId(history)) await vault.delete(id);
}

function vaultFor(
  { store: _, clock = systemClock, ...door }: TakeOverOptions,
  account: AccountRecord,
  history: Bytes,
): Vault {
  const tokens = createTokens({
    door: createDoor(door),
    tenant: account.tenant.id,
    device: account.device,
    sign: (payload) => sign(account.signatureKeys.privateKey, payload),
    clock,
  });
  return createVault({ ...door, tokens, shelf: shelfOf(history) });
}

function copyOf({ publicKey, privateKey }: Membership["identityKeys"]): LinkHandover["identityKeys"] {
  return {
    publicKey: publicKey.slice() as Uint8Array<ArrayBuffer>,
    privateKey: privateKey.slice() as Uint8Array<ArrayBuffer>,
  };
}
