// Owns how a handover that a person has confirmed gets through whatever happens: it is left for the other device, its history is uploaded, and a
// closed tab or a dead process costs only time. Shows nothing.

import { randomBytes } from "../../../schemas/bytes.ts";
import type { LinkHandover } from "../../../schemas/linking.ts";
import { LIMITS } from "../../../schemas/policy.ts";
import { isRefusal, Refusal, type RefusalCode } from "../../../schemas/refusal.ts";
import { createApi, type DoorOptions } from "../api.ts";
import { forgetBackup } from "../backup/ledger.ts";
import type { Clock } from "../clock.ts";
import type { AccountRecord } from "../records.ts";
import type { Store } from "../store.ts";
import type { Tokens } from "../token.ts";
import { createVault, type Vault } from "../vault.ts";
import { dropHistory, endHistory, endId, handOver, hasEnded, sealHistory, shelfOf, type Upload } from "./hand-over.ts";
import { type Handing, saveHanding } from "./handing.ts";
import { leaveHandover, type Showing } from "./linking.ts";

/** What was cut off goes on after this long, in ms. */
const AGAIN = 5_000;
/** Why an upload ends: the other device goes without. */
const DECLINED = "declined";
/** What a later attempt may get past. */
const PASSING: ReadonlySet<RefusalCode> = new Set(["unavailable", "rate_limited", "internal"]);

interface Means {
  readonly door: DoorOptions;
  readonly store: Store;
  readonly clock: Clock;
  readonly giver: {
    readonly account: AccountRecord;
    readonly tokens: Tokens;
    readonly safekeeping: { readonly handover: LinkHandover["recovery"] };
    /** The server's time in ms. */
    readonly now: () => number;
  };
}
export type Delivery = Means & { readonly handing: Handing };

/**
 * Hands a member over to the device that has answered, which may enter from then on. `isLeft` is false when the server was out of reach: what is to be
 * left is remembered, and {@link deliver} leaves it. @throws {Refusal} not_found — it is over
 */
export async function handOff({
  store,
  giver,
  showing,
  name,
}: Means & { readonly showing: Showing; readonly name: string }): Promise<{ handing: Handing; isLeft: boolean }> {
  const { account, safekeeping, now } = giver;
  const history = randomBytes(32);
  const since = now();
  let handing: Handing | undefined;
  const keep = async (left: Handing["left"]): Promise<void> => {
    const made: Handing = { left, history, name, since, state: "uploading" };
    await saveHanding(store, made);
    handing = made;
  };
  try {
    await handOver(showing, account, { history, recovery: safekeeping.handover, now: since, keep });
  } catch (error) {
    if (handing !== undefined && mayPass(error)) return { handing, isLeft: false };
    if (isRefusal(error)) await saveHanding(store, null);
    throw error;
  }
  if (handing === undefined) throw new TypeError("nothing was kept");
  return { handing, isLeft: true };
}

/**
 * Resolves when all of the history lies in the vault, or the other device goes without it. A server out of reach is tried again; what is called off or
 * refused for good leaves nothing behind, and the other device goes on without it.
 * @throws {Refusal} not_found — it was called off, or nobody has fetched the handover in time; quota
 */
export async function deliver(
  delivery: Delivery,
  isLeft: boolean,
  watch: { readonly isCalledOff: () => boolean } & Pick<Upload, "onProgress">,
): Promise<void> {
  const { clock, giver, handing } = delivery;
  const { isCalledOff } = watch;
  let [left, isWhole] = [isLeft, false];
  for (;;) {
    try {
      if (!left) left = await leave(delivery);
      if (!isWhole) isWhole = await upload(delivery, watch);
      if (isCalledOff()) throw new Refusal("not_found");
      return await settle(delivery);
    } catch (error) {
      // What is no refusal says nothing of the handover
      if (!isRefusal(error)) throw error;
      if (error.detail.reason === DECLINED) {
        await dropHistory(vaultOf(delivery)).catch(() => undefined);
        return forget(delivery);
      }
      if (isCalledOff() || giver.now() > handing.since + LIMITS.handingLife || !mayPass(error)) {
        await drop(delivery).catch(() => undefined);
        throw error;
      }
      await new Promise<void>((resolve) => clock.after(AGAIN, resolve));
    }
  }
}

/** Uploads what is missing, for as long as somebody wants it. @throws {Refusal} not_found — nobody does; quota, unavailable */
async function upload(
  delivery: Delivery,
  { isCalledOff, onProgress }: { readonly isCalledOff: () => boolean } & Pick<Upload, "onProgress">,
): Promise<true> {
  const { store, giver, handing } = delivery;
  const { history } = handing;
  const vault = wanted(vaultOf(delivery), history, isCalledOff);
  await sealHistory({ store, vault, now: giver.now, ...(onProgress && { onProgress }) }, giver.account, history);
  if (await hasEnded(vault, history)) throw new Refusal("not_found", { reason: DECLINED });
  // From here on it is this device that says that it has ended
  if (!isCalledOff()) await saveHanding(store, { ...handing, state: "sealed" });
  return true;
}

/** Ends what an earlier run was cut off in ending: says that a history is whole, or destroys one that was called off. @throws {Refusal} unavailable */
export async function settle(delivery: Delivery): Promise<void> {
  const { giver, handing } = delivery;
  if (handing.state === "dropped") return drop(delivery);
  const vault = vaultOf(delivery);
  // Whoever has fetched it has cleared it away
  if ((await vault.list()).length > 0) await endHistory({ vault, now: giver.now }, handing.history);
  await forget(delivery);
}

/** Destroys a history that nobody shall fetch any more, and says so. @throws {Refusal} unavailable — {@link settle} does it later, and else it goes in time */
async function drop(delivery: Delivery): Promise<void> {
  const { store, giver, handing } = delivery;
  const { history, since } = handing;
  const vault = vaultOf(delivery);
  await saveHanding(store, { ...handing, state: "dropped" });
  await dropHistory(vault);
  if (giver.now() < since + LIMITS.handingLife) await endHistory({ vault, now: giver.now }, history);
  await forget(delivery);
}

async function forget({ store, handing }: Delivery): Promise<void> {
  await forgetBackup(store, shelfOf(handing.history));
  await saveHanding(store, null);
}

/** Leaves what was sealed for the other device, unless it has it. @throws {Refusal} not_found — it was not fetched in time; unavailable */
async function leave({ door, giver, handing }: Delivery): Promise<true> {
  const { tokens } = giver;
  try {
    await leaveHandover({ ...door, tokens }, handing.left);
  } catch (error) {
    if (!isRefusal(error) || error.code !== "not_found") throw error;
    const devices = await createApi({ ...door, tokens }).devices();
    if (!devices.some(({ admittedBy }) => admittedBy === handing.left.grant)) throw error;
  }
  return true;
}

/** The shelf of a handover; what is put there goes by itself when its time is over. */
function vaultOf({ door, giver, handing }: Delivery): Vault {
  const vault = createVault({ ...door, tokens: giver.tokens, shelf: shelfOf(handing.history) });
  const last = Math.floor(handing.since + LIMITS.handingLife);
  return {
    ...vault,
    put: (id, bytes, options) =>
      vault.put(id, bytes, { ...options, expiresAt: Math.min(options?.expiresAt ?? last, last) }),
  };
}

/** Puts nothing where nothing is wanted any more, and leaves alone what says so. */
function wanted(vault: Vault, history: Handing["history"], isCalledOff: () => boolean): Vault {
  return {
    ...vault,
    list: async () => (await vault.list()).filter(({ id }) => id !== endId(history)),
    put: async (id, bytes, options) => {
      if (isCalledOff()) throw new Refusal("not_found");
      if (await hasEnded(vault, history)) throw new Refusal("not_found", { reason: DECLINED });
      return vault.put(id, bytes, options);
    },
  };
}

function mayPass(error: unknown): boolean {
  return isRefusal(error) && PASSING.has(error.code);
}
