// Owns how a sealed profile comes open: what it waits for, and what becomes of one that will never open again. Knows no database and no screen.

import { isRefusal, REFUSALS, type Refusal, type RefusalCode } from "../../../schemas/refusal.ts";
import type { Clock } from "../clock.ts";
import type { Store } from "../store.ts";
import type { HeaderPlace, SealHeader } from "./header.ts";
import { Seal, type SealOptions } from "./seal.ts";

/** The server is asked again after this long, in ms, longer each time: whoever was cut off is not alone. */
const AGAIN = { least: 1_000, most: 30_000 };

/** A profile's database as it is: sealed rows and a clear header. */
export type ClosedProfile = Store & HeaderPlace;

/** How the last passphrase fared: it was wrong, with so many tries `left`; it came too soon; or there are no more. Times in ms. */
export interface TryView {
  readonly kind: "wrong" | "early" | "locked";
  readonly left: number;
  readonly retryAfter: number;
}

/**
 * What keeps a profile closed. `guarded`: the app lock wants its passphrase; `unreachable`: the server has not answered yet, and is asked
 * again; `shut`: it will not be opened again.
 */
export type Gate =
  | { readonly kind: "guarded"; readonly tried: TryView | null }
  | { readonly kind: "unreachable" }
  | { readonly kind: "shut"; readonly code: RefusalCode };

export interface UnlockOptions {
  /** Opens the database, also again after it was destroyed. */
  readonly openProfile: () => Promise<ClosedProfile>;
  readonly door: SealOptions["door"];
  readonly cost?: SealOptions["cost"];
  readonly clock: Clock;
  readonly onGate: (gate: Gate) => void;
  /** The next passphrase somebody enters, if ever. */
  readonly passphrase: () => Promise<string>;
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
  let passphrase: string | null = null;
  for (let attempts = 0; ; attempts++) {
    const attempt =
      header === undefined ? undefined : await tryOpen(sealOptions(profile, options), { header, passphrase });
    if (header === undefined || attempt === undefined) {
      // Whatever is in it was never introduced to the server and is of nobody
      await profile.destroy();
      profile = await openProfile();
      return { profile, seal: await Seal.begin(sealOptions(profile, options)) };
    }
    if (attempt instanceof Seal) return { profile, seal: attempt };
    const gate = gateOf(attempt);
    if (attempt.code === "device_revoked") profile = await wipe(profile, openProfile);
    onGate(gate);
    if (gate.kind === "guarded") passphrase = null;
    const next = await Promise.race([unwanted, waitFor({ gate, attempts }, options)]);
    if (next === undefined) {
      await profile.close();
      return undefined;
    }
    passphrase = next.passphrase ?? passphrase;
  }
}

function sealOptions(headers: ClosedProfile, { door, cost }: UnlockOptions): SealOptions {
  return { headers, door, ...(cost !== undefined && { cost }) };
}

/** Undefined for a profile that the server was never heard to have let in, and has not. */
async function tryOpen(
  options: SealOptions,
  { header, passphrase }: { header: SealHeader; passphrase: string | null },
): Promise<Seal | Pick<Refusal, "code" | "detail"> | undefined> {
  try {
    return await Seal.open(options, header, passphrase);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return error.code === "not_found" && !header.accepted ? undefined : error;
  }
}

function gateOf({ code, detail }: Pick<Refusal, "code" | "detail">): Gate {
  const retryAfter = Number(detail.retryAfter ?? 0);
  if (code === "rate_limited" && detail.reason === "passphrase") {
    return { kind: "guarded", tried: { kind: "early", left: 0, retryAfter } };
  }
  if (code === "forbidden" && detail.reason === "guarded") return { kind: "guarded", tried: null };
  if (code === "forbidden" && (detail.reason === "wrong" || detail.reason === "locked")) {
    return { kind: "guarded", tried: { kind: detail.reason, left: Number(detail.left ?? 0), retryAfter } };
  }
  return REFUSALS[code].remedy === "retry" ? { kind: "unreachable" } : { kind: "shut", code };
}

/** What is asked for next; never, once it is shut. */
async function waitFor(
  { gate, attempts }: { gate: Gate; attempts: number },
  { passphrase, network, clock }: UnlockOptions,
): Promise<{ readonly passphrase: string | null }> {
  if (gate.kind === "guarded") return { passphrase: await passphrase() };
  if (gate.kind === "shut") return new Promise(() => undefined);
  const { promise, resolve } = Promise.withResolvers<void>();
  const longest = Math.min(AGAIN.most, AGAIN.least * 2 ** attempts);
  const cancel = clock.after(longest * (0.5 + clock.random() / 2), resolve);
  const online = () => resolve();
  network.addEventListener("online", online);
  await promise;
  cancel();
  network.removeEventListener("online", online);
  return { passphrase: null };
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
