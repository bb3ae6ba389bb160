// Owns how a sealed profile comes open: what it waits for, and what becomes of one that will never open again. Knows no database and no screen.

import { isRefusal, REFUSALS, type Refusal, type RefusalCode } from "../../../schemas/refusal.ts";
import type { Clock } from "../clock.ts";
import type { Store } from "../store.ts";
import { type HeaderPlace, type PasskeyHeader, passkeyOf, type SealHeader } from "./header.ts";
import type { Opener } from "./keys.ts";
import { Seal, type SealOptions } from "./seal.ts";

/** The server is asked again after this long, in ms, longer each time: whoever was cut off is not alone. */
const AGAIN = { least: 1_000, most: 30_000 };

/** A profile's database as it is: sealed rows and a clear header. */
export type ClosedProfile = Store & HeaderPlace;

/** How the last try fared: it was wrong, with so many tries `left`; it came too soon; or there are no more. Times in ms. */
export interface TryView {
  readonly kind: "wrong" | "early" | "locked";
  readonly left: number;
  readonly retryAfter: number;
}

/**
 * What keeps a profile closed. `guarded`: the app lock wants its passkey or, null, its passphrase; `unreachable`: the server has not answered yet, and is asked
 * again; `shut`: it will not be opened again.
 */
export type Gate =
  | { readonly kind: "guarded"; readonly tried: TryView | null; readonly passkey: PasskeyHeader | null }
  | { readonly kind: "unreachable" }
  | { readonly kind: "shut"; readonly code: RefusalCode };

export interface UnlockOptions {
  /** Opens the database, also again after it was destroyed. */
  readonly openProfile: () => Promise<ClosedProfile>;
  readonly door: SealOptions["door"];
  readonly cost?: SealOptions["cost"];
  readonly clock: Clock;
  readonly onGate: (gate: Gate) => void;
  /** What somebody opens the lock with next, if ever. */
  readonly opener: () => Promise<Opener>;
  /** Told `online` when the network is back. */
  readonly network: Pick<EventTarget, "addEventListener" | "removeEventListener">;
  /** Resolves when nobody wants the profile here any more. */
  readonly unwanted: Promise<void>;
}

/** A profile that is open. */
export interface OpenProfile {
  readonly profile: ClosedProfile;
  readonly seal: Seal;
}

/**
 * Opens the profile, however long it takes. Undefined when it became unwanted meanwhile; the database is closed then.
 * @throws {Refusal} as opening the database
 */
export async function unlock(options: UnlockOptions): Promise<OpenProfile | undefined> {
  const { openProfile, onGate, unwanted } = options;
  let profile = await openProfile();
  const header = await profile.header();
  let opener: Opener | null = null;
  for (let attempts = 0; ; attempts++) {
    const attempt = header === undefined ? undefined : await tryOpen(sealOptions(profile, options), { header, opener });
    if (header === undefined || attempt === undefined) {
      // Whatever is in it was never introduced to the server and is of nobody
      await profile.destroy();
      profile = await openProfile();
      return { profile, seal: await Seal.begin(sealOptions(profile, options)) };
    }
    if (attempt instanceof Seal) return { profile, seal: attempt };
    const gate = gateOf(attempt, header);
    if (attempt.code === "device_revoked") profile = await wipe(profile, openProfile);
    onGate(gate);
    if (gate.kind === "guarded") opener = null;
    const next = await Promise.race([unwanted, waitFor({ gate, attempts }, options)]);
    if (next === undefined) {
      await profile.close();
      return undefined;
    }
    opener = next.opener ?? opener;
  }
}

function sealOptions(headers: ClosedProfile, { door, cost }: UnlockOptions): SealOptions {
  return { headers, door, ...(cost !== undefined && { cost }) };
}

/** Undefined for a profile that the server was never heard to have let in, and has not. */
async function tryOpen(
  options: SealOptions,
  { header, opener }: { header: SealHeader; opener: Opener | null },
): Promise<Seal | Pick<Refusal, "code" | "detail"> | undefined> {
  try {
    return await Seal.open(options, header, opener);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return error.code === "not_found" && !header.accepted ? undefined : error;
  }
}

function gateOf({ code, detail }: Pick<Refusal, "code" | "detail">, { ways }: SealHeader): Gate {
  const retryAfter = Number(detail.retryAfter ?? 0);
  const lock = ways[Number(detail.way)]?.lock ?? null;
  const guarded = { kind: "guarded", passkey: lock && passkeyOf(lock) } as const;
  if (code === "rate_limited" && detail.reason === "passphrase") {
    return { ...guarded, tried: { kind: "early", left: 0, retryAfter } };
  }
  if (code === "forbidden" && detail.reason === "guarded") return { ...guarded, tried: null };
  if (code === "forbidden" && (detail.reason === "wrong" || detail.reason === "locked")) {
    return { ...guarded, tried: { kind: detail.reason, left: Number(detail.left ?? 0), retryAfter } };
  }
  return REFUSALS[code].remedy === "retry" ? { kind: "unreachable" } : { kind: "shut", code };
}

/** What is asked for next; never, once it is shut. */
async function waitFor(
  { gate, attempts }: { gate: Gate; attempts: number },
  { opener, network, clock }: UnlockOptions,
): Promise<{ readonly opener: Opener | null }> {
  if (gate.kind === "guarded") return { opener: await opener() };
  if (gate.kind === "shut") return new Promise(() => undefined);
  const { promise, resolve } = Promise.withResolvers<void>();
  const longest = Math.min(AGAIN.most, AGAIN.least * 2 ** attempts);
  const cancel = clock.after(longest * (0.5 + clock.random() / 2), resolve);
  const online = () => resolve();
  network.addEventListener("online", online);
  await promise;
  cancel();
  network.removeEventListener("online", online);
  return { opener: null };
}

/**
 * Destroys a profile that has become noise. Nothing stays but its header, so that it says next time, too, why it is shut.
 * @throws {Refusal} as opening the database
 */
export async function wipe(profile: ClosedProfile, openProfile: () => Promise<ClosedProfile>): Promise<ClosedProfile> {
  const header = await profile.header();
  await profile.destroy();
  const empty = await openProfile();
  if (header !== undefined) await empty.setHeader(header);
  return empty;
}
