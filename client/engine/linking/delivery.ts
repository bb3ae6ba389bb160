// Owns how a handover that a person has confirmed gets through whatever happens: it is left for the other device, its history is uploaded, and a
// closed tab or a dead process costs only time. Shows nothing.

import { randomBytes } from "../../../schemas/bytes.ts";
import type { LinkHandover } from "../../../schemas/linking.ts";
import { LIMITS } from "../../../schemas/policy.ts";
import { isRefusal, Refusal, type RefusalCode } from "../../../schemas/refusal.ts";
import { createApi, type DoorOptions } from "../api.ts";
import type { Clock } from "../clock.ts";
import type { AccountRecord } from "../records.ts";
import type { Store } from "../store.ts";
import type { Tokens } from "../token.ts";
import { createVault, type Vault } from "../vault.ts";
import { dropHistory, endHistory, handOver, sealHistory, type Upload } from "./hand-over.ts";
import { type Handing, saveHanding } from "./handing.ts";
import { leaveHandover, type Showing } from "./linking.ts";

/** What was cut off goes on after this long, in ms. */
const AGAIN = 5_000;
/** By so much the server's time may be thought later than it is, in ms. */
const SLACK = 60_000;
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
    const made = { left, history, name, since, sealed: false };
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
 * Resolves when all of the history lies in the vault. A server out of reach is tried again; what is called off or refused for good leaves nothing behind,
 * and the other device goes on without it. @throws {Refusal} not_found — it was called off, or nobody has fetched the handover in time; quota
 */
export async function deliver(
  delivery: Delivery,
  isLeft: boolean,
  watch: { readonly isCalledOff: () => boolean } & Pick<Upload, "onProgress">,
): Promise<void> {
  const { store, clock, giver, handing } = delivery;
  const { account, now } = giver;
  const { history, since } = handing;
  const vault = vaultOf(delivery);
  const { isCalledOff, onProgress } = watch;
  let left = isLeft;
  for (;;) {
    try {
      if (!left) left = await leave(delivery);
      await sealHistory({ store, vault, now, ...(onProgress && { onProgress }) }, account, history);
      if (isCalledOff()) throw new Refusal("not_found");
      await saveHanding(store, { ...handing, sealed: true });
      return await endHistory({ vault, now }, history);
    } catch (error) {
      // What is no refusal says nothing of the handover
      if (!isRefusal(error)) throw error;
      if (isCalledOff() || now() > since + LIMITS.handingLife || !mayPass(error)) {
        await saveHanding(store, null);
        await dropHistory(vault)
          .then(() => endHistory({ vault, now }, history))
          .catch(() => undefined);
        throw error;
      }
      await new Promise<void>((resolve) => clock.after(AGAIN, resolve));
    }
  }
}

/** Clears away what nobody has fetched in time; whoever has fetched a history has done so itself. @throws {Refusal} unavailable */
export async function tidy(delivery: Delivery): Promise<void> {
  const { store, giver, handing } = delivery;
  const vault = vaultOf(delivery);
  const isEmpty = (await vault.list()).length === 0;
  // That it is whole may not have been said yet
  if (!isEmpty && giver.now() <= handing.since + LIMITS.handingLife)
    return endHistory({ vault, now: giver.now }, handing.history);
  if (!isEmpty) await dropHistory(vault);
  await saveHanding(store, null);
}

/** Leaves what was sealed for the other device, unless it has it. @throws {Refusal} not_found — it was not fetched in time; unavailable */
async function leave({ door, giver, handing }: Delivery): Promise<true> {
  const { tokens, account } = giver;
  try {
    await leaveHandover({ ...door, tokens }, handing.left);
  } catch (error) {
    if (!isRefusal(error) || error.code !== "not_found") throw error;
    const devices = await createApi({ ...door, tokens }).devices();
    if (!devices.some(({ id, createdAt }) => id !== account.device && createdAt > handing.since - SLACK)) throw error;
  }
  return true;
}

function vaultOf({ door, giver }: Delivery): Vault {
  return createVault({ ...door, tokens: giver.tokens, shelf: "handover" });
}

function mayPass(error: unknown): boolean {
  return isRefusal(error) && PASSING.has(error.code);
}
