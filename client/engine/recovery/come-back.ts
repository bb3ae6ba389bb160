// Owns coming back with nothing but a phrase or a passkey: an empty profile becomes a new device of the member, with the history of the backup. Each step
// may be interrupted and done again.

import { equalBytes, fromBase64url } from "../../../schemas/bytes.ts";
import { Refusal } from "../../../schemas/refusal.ts";
import { draftDevice, introduce, saveAccount } from "../account.ts";
import type { DoorOptions } from "../api.ts";
import { engineRows } from "../backup/engine-rows.ts";
import { unpackMembership } from "../backup/membership.ts";
import { findBackup, type Restored, type RestoreOptions, restoreBackup } from "../backup/restore.ts";
import { relist } from "../backup/settle.ts";
import { type Clock, systemClock } from "../clock.ts";
import type { Sealing } from "../seal/seal.ts";
import { ServerTime } from "../server-time.ts";
import type { Store } from "../store.ts";
import { Timers } from "../timers.ts";
import type { PasskeyAnswer } from "../view.ts";
import type { BoxContent } from "./passkey-box.ts";
import { recoverByPasskey } from "./passkeys.ts";
import { recoveryKeys } from "./phrase.ts";
import { savePhrase } from "./phrase-record.ts";
import { type Recovery, recover } from "./recovery.ts";

/** `store` must be a profile without an account; afterwards the engine can be opened on it. */
export interface ComeBackOptions extends DoorOptions {
  readonly store: Store;
  readonly sealing?: Sealing | undefined;
  readonly deviceName: string;
  readonly clock?: Clock;
  readonly onProgress?: RestoreOptions["onProgress"];
}

/**
 * Makes a profile a new device of the member whose phrase this is.
 * @throws {Refusal} not_found — the server knows no such phrase, or (reason "backup") has no backup of it; forbidden (reason "identity") — what
 * the server says of the member is not what the backup says; device_revoked, tenant_suspended, quota; unavailable — call again
 */
export async function comeBack(options: ComeBackOptions, words: readonly string[]): Promise<Restored> {
  const keys = await recoveryKeys(words);
  return enterAgain(options, { ...keys, recovery: await recover(options, keys) });
}

/**
 * Makes a profile a new device of the member whose passkey has given this answer.
 * @throws {Refusal} token_expired — ask the passkey anew and call again, it goes on where it was; as {@link comeBack} and {@link recoverByPasskey}
 */
export async function comeBackByPasskey(options: ComeBackOptions, answer: PasskeyAnswer): Promise<Restored> {
  return enterAgain(options, await recoverByPasskey(options, answer));
}

async function enterAgain(
  { store, sealing, deviceName, clock = systemClock, onProgress }: ComeBackOptions,
  { recovery, ...keys }: BoxContent & { readonly recovery: Recovery },
): Promise<Restored> {
  const time = await ServerTime.load(store, clock);
  await time.observe(recovery.now);
  const backupKeys = { tenant: recovery.tenant.id, member: recovery.member.id, backupKey: keys.backupKey };
  const found = await findBackup({ keys: backupKeys, vault: recovery.backup });
  const membership = found && (await unpackMembership(found.manifest.account));
  if (found === undefined || membership === undefined) throw new Refusal("not_found", { reason: "backup" });
  const named = fromBase64url(recovery.member.identityKey) ?? new Uint8Array();
  const same = membership.tenant.id === recovery.tenant.id && membership.member.id === recovery.member.id;
  if (!same || !equalBytes(named, membership.identityKeys.publicKey)) {
    throw new Refusal("forbidden", { reason: "identity" });
  }
  const restored = await restoreBackup(
    {
      keys: backupKeys,
      shelf: "backup",
      vault: recovery.backup,
      store,
      portable: engineRows(new Timers({ store, clock, time })),
      now: () => time.now(),
      ...(onProgress && { onProgress }),
    },
    found,
  );
  await relist(store, recovery.member.id);
  const { identityKey: _, ...member } = recovery.member;
  const { account, device } = await draftDevice(
    { ...membership, tenant: recovery.tenant, member },
    { deviceName, sealing },
  );
  await saveAccount(store, account);
  await savePhrase(store, { lookup: keys.lookup, backupKey: keys.backupKey, words: null });
  await introduce(store, account, () => recovery.enrolDevice(device));
  return restored;
}
