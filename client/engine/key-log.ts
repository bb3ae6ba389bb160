// Owns this device's copy of what the tenant's key log says, and the proof that it only ever grows: every leaf is read, hashed and judged once.
// Draws no conclusions about whom to trust; knows no people and no conversations.

import * as contract from "../../schemas/api.ts";
import { equalBytes, fromBase64url } from "../../schemas/bytes.ts";
import { decodeCbor, encodeCbor } from "../../schemas/cbor.ts";
import { certificatePayload } from "../../schemas/credential.ts";
import type { DeviceId, MemberId, TenantId } from "../../schemas/ids.ts";
import { decodeKeyEvent, type KeyEvent } from "../../schemas/key-event.ts";
import { growPeaks, type Hash, leafHash, rootOfPeaks, verifyConsistency } from "../../schemas/merkle.ts";
import { isRefusal } from "../../schemas/refusal.ts";
import { createCall, type DoorOptions, signedIn } from "./api.ts";
import { verify } from "./group/device-keys.ts";
import type { Store, Write } from "./store.ts";
import type { Tokens } from "./token.ts";

/** A head of the log: as this device knows it, or as another one says it has seen it. */
export interface LogHead {
  readonly size: number;
  readonly root: Uint8Array;
}

/** A device that its member's `identityKey` of that time has certified. `revoked`: by itself, with its member, or with that identity key. */
export interface LoggedDevice {
  readonly member: MemberId;
  readonly identityKey: Uint8Array;
  readonly signatureKey: Uint8Array;
  readonly revoked: boolean;
}

/**
 * What a new leaf means. `uncertified`: a device its member's identity key has not signed, which only a server can have put there; `rekeyed`:
 * a member has another identity key than before; `unknown`: a leaf this build cannot read.
 */
export type KeyNews =
  | { readonly kind: "member" | "rekeyed" | "removed"; readonly member: MemberId }
  | { readonly kind: "device" | "uncertified" | "revoked"; readonly member: MemberId; readonly device: DeviceId }
  | { readonly kind: "unknown" };

/**
 * How the log stands. `rolled_back`: shorter than it once was; `forked`: another past than this device, or somebody it talks to, has seen.
 * Neither can happen by accident, and after either nothing of it was taken in.
 */
export type LogState =
  | { readonly kind: "current"; readonly news: readonly KeyNews[] }
  | { readonly kind: "rolled_back" | "forked" };

interface Kept {
  readonly size: number;
  readonly peaks: readonly Hash[];
}

const STATE = "keylog/state";
const MEMBERS = "keylog/member/";
const DEVICES = "keylog/device/";

/** What follows from new leaves for whoever draws conclusions: written together with them, true once that is durable. */
export interface Conclusion {
  readonly writes: readonly Write[];
  settle(): void;
}

export interface KeyLogOptions extends DoorOptions {
  readonly tokens: Tokens;
  readonly store: Store;
  readonly tenant: TenantId;
  /** Told what is new before it counts. `keyOf`: a member's identity key after all of it. */
  readonly conclude?: (news: readonly KeyNews[], keyOf: (member: MemberId) => Uint8Array | undefined) => Conclusion;
}

/** The key log of one tenant, as far as this device has read it. */
export class KeyLog {
  readonly #store: Store;
  readonly #tenant: TenantId;
  readonly #call: ReturnType<typeof signedIn>;
  readonly #conclude: KeyLogOptions["conclude"];
  /** Every identity key a member has had, the present one last. */
  readonly #members: Map<MemberId, readonly Uint8Array[]>;
  readonly #devices: Map<DeviceId, LoggedDevice>;
  /** Heads that others have seen and that agree with this log, by size. */
  readonly #agreed = new Map<number, Uint8Array>();
  #kept: Kept;
  #head: LogHead | null = null;
  #reading: Promise<LogState> | null = null;

  private constructor(
    { store, tenant, tokens, conclude, ...door }: KeyLogOptions,
    kept: {
      state: Kept;
      members: Map<MemberId, readonly Uint8Array[]>;
      devices: Map<DeviceId, LoggedDevice>;
    },
  ) {
    this.#store = store;
    this.#tenant = tenant;
    this.#call = signedIn(createCall(door), tokens);
    this.#conclude = conclude;
    this.#kept = kept.state;
    this.#members = kept.members;
    this.#devices = kept.devices;
  }

  /** Opens it with all that was read before. */
  static async load(options: KeyLogOptions): Promise<KeyLog> {
    const { store } = options;
    const rows = async <Id, Value>(prefix: string) =>
      new Map(
        (await store.scan("meta", { prefix })).map(
          ({ key, value }) => [key.slice(prefix.length) as Id, decodeCbor(value) as Value] as const,
        ),
      );
    const [state, members, devices] = await Promise.all([
      store.get("meta", STATE),
      rows<MemberId, readonly Uint8Array[]>(MEMBERS),
      rows<DeviceId, LoggedDevice>(DEVICES),
    ]);
    return new KeyLog(options, {
      state: state === undefined ? { size: 0, peaks: [] } : (decodeCbor(state) as Kept),
      members,
      devices,
    });
  }

  /** The head this device has read up to, to be carried inside encrypted messages. */
  get head(): LogHead {
    const { size, peaks } = this.#kept;
    if (this.#head?.size !== size) this.#head = { size, root: rootOfPeaks(peaks) };
    return this.#head;
  }

  /** Whether this is a head that is already known to agree with this log. */
  agrees({ size, root }: LogHead): boolean {
    const agreed = size === this.#kept.size ? this.head.root : this.#agreed.get(size);
    return agreed !== undefined && equalBytes(agreed, root);
  }

  /** The identity key that the log has for a member; undefined for none. */
  identityKey(member: MemberId): Uint8Array | undefined {
    return this.#members.get(member)?.at(-1);
  }

  /** Whether the log has ever had this identity key for a member. */
  hasHad(member: MemberId, identityKey: Uint8Array): boolean {
    return this.#members.get(member)?.some((key) => equalBytes(key, identityKey)) ?? false;
  }

  /** What the log has of a device; undefined when it has none, or none that its member has certified. */
  device(device: DeviceId): LoggedDevice | undefined {
    return this.#devices.get(device);
  }

  /**
   * Reads what is new. What was read counts once it is durable; callers at the same time share one reading.
   * @throws {Refusal} unavailable, and whatever ends a device's right to ask
   */
  update(): Promise<LogState> {
    this.#reading ??= this.#update().finally(() => {
      this.#reading = null;
    });
    return this.#reading;
  }

  /**
   * Compares with a head that another device of the tenant says it has seen.
   * @throws {Refusal} as {@link KeyLog.update}
   */
  async compare(seen: LogHead): Promise<LogState> {
    if (this.agrees(seen)) return { kind: "current", news: [] };
    if (seen.size > this.#kept.size) {
      const state = await this.update();
      if (state.kind !== "current") return state;
    }
    const { head } = this;
    // The other one was shown more than this device is
    if (seen.size > head.size) return { kind: "rolled_back" };
    const proof = await this.#growth(seen.size, head.size);
    if (!verifyConsistency({ first: seen, second: head, proof })) return { kind: "forked" };
    this.#agreed.set(seen.size, seen.root.slice());
    return { kind: "current", news: [] };
  }

  async #update(): Promise<LogState> {
    const shown = await this.#call({ path: "/api/keys/head", answer: contract.KeyHeadAnswer });
    if (shown.size < this.#kept.size) return { kind: "rolled_back" };
    let { size, peaks } = this.#kept;
    const leaves: Uint8Array<ArrayBuffer>[] = [];
    while (size < shown.size) {
      const page = await this.#page(size);
      for (const leaf of page.slice(0, shown.size - size)) {
        peaks = growPeaks(peaks, size, leafHash(leaf));
        size += 1;
        leaves.push(leaf);
      }
      // A server that names a head and has no leaves for it shows something else than it has
      if (page.length === 0) return { kind: "forked" };
    }
    if (!equalBytes(rootOfPeaks(peaks), bytesOf(shown.root))) return { kind: "forked" };
    return { kind: "current", news: await this.#takeIn(leaves, { size, peaks }) };
  }

  async #page(from: number): Promise<Uint8Array<ArrayBuffer>[]> {
    const path = `/api/keys/leaves?from=${from}`;
    const { leaves } = await this.#call({ path, answer: contract.KeyLeavesAnswer });
    return leaves.map(bytesOf);
  }

  async #growth(first: number, second: number): Promise<Uint8Array[]> {
    if (first === 0 || first === second) return [];
    const path = `/api/keys/growth?first=${first}&second=${second}`;
    try {
      return (await this.#call({ path, answer: contract.GrowthAnswer })).hashes.map(bytesOf);
    } catch (error) {
      // A log that was ever so long can always prove it; one that will not has something to hide, and no proof proves nothing
      if (isRefusal(error) && error.code === "not_found") return [];
      throw error;
    }
  }

  /** Judges leaves and makes them durable together with the place in the log they reach to. */
  async #takeIn(leaves: readonly Uint8Array[], kept: Kept): Promise<KeyNews[]> {
    if (leaves.length === 0) return [];
    const members = new Map(this.#members);
    const devices = new Map(this.#devices);
    const news: KeyNews[] = [];
    for (const leaf of leaves) {
      const event = decodeKeyEvent(leaf);
      news.push(event === undefined ? { kind: "unknown" } : await judge(this.#tenant, event, { members, devices }));
    }
    const conclusion = this.#conclude?.(news, (member) => members.get(member)?.at(-1));
    const writes: Write[] = [{ table: "meta", key: STATE, value: encodeCbor(kept) }, ...(conclusion?.writes ?? [])];
    for (const [id, keys] of changed(this.#members, members)) {
      writes.push({ table: "meta", key: MEMBERS + id, value: encodeCbor(keys) });
    }
    for (const [id, device] of changed(this.#devices, devices)) {
      writes.push({ table: "meta", key: DEVICES + id, value: encodeCbor(device) });
    }
    await this.#store.write(writes);
    this.#agreed.set(this.head.size, this.head.root);
    this.#kept = kept;
    for (const [id, keys] of members) this.#members.set(id, keys);
    for (const [id, device] of devices) this.#devices.set(id, device);
    conclusion?.settle();
    return news;
  }
}

/** Every identity key a member has had, the present one last, and every device that was certified. */
export interface Known {
  readonly members: Map<MemberId, readonly Uint8Array[]>;
  readonly devices: Map<DeviceId, LoggedDevice>;
}

/** What an event means after all that came before it, entered into `known`. */
export async function judge(tenant: TenantId, event: KeyEvent, known: Known): Promise<KeyNews> {
  const { members, devices } = known;
  const { member } = event;
  switch (event.type) {
    case "member": {
      const before = members.get(member) ?? [];
      const last = before.at(-1);
      if (last !== undefined && equalBytes(last, event.identityKey)) return { kind: "member", member };
      members.set(member, [...before, event.identityKey]);
      // What a key has certified ends with it
      revokeAll(devices, member);
      return { kind: last === undefined ? "member" : "rekeyed", member };
    }
    case "device": {
      const { device, signatureKey, certificate } = event;
      const identityKey = members.get(member)?.at(-1);
      const payload = certificatePayload({ tenant, member, device, signatureKey });
      const certified = identityKey !== undefined && (await verify(identityKey, payload, certificate));
      if (!certified || devices.has(device)) return { kind: "uncertified", member, device };
      devices.set(device, { member, identityKey, signatureKey, revoked: false });
      return { kind: "device", member, device };
    }
    case "revoked": {
      const there = devices.get(event.device);
      if (there?.member === member) devices.set(event.device, { ...there, revoked: true });
      return { kind: "revoked", member, device: event.device };
    }
    case "removed":
      revokeAll(devices, member);
      return { kind: "removed", member };
  }
}

function revokeAll(devices: Map<DeviceId, LoggedDevice>, member: MemberId): void {
  for (const [id, device] of devices) {
    if (device.member === member && !device.revoked) devices.set(id, { ...device, revoked: true });
  }
}

function changed<Id, Value>(before: ReadonlyMap<Id, Value>, after: ReadonlyMap<Id, Value>): [Id, Value][] {
  return [...after].filter(([id, value]) => before.get(id) !== value);
}

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return fromBase64url(text) ?? new Uint8Array();
}
