// Owns keeping a member's sealed backup up to date from one device: what has changed is written, what has gone is destroyed, and a crash
// at any point costs at most some writes. Knows neither what rows mean nor how they are sealed.

import type { Shelf } from "../../../schemas/api.ts";
import { randomBytes } from "../../../schemas/bytes.ts";
import { type DeviceId, newId, type VaultId } from "../../../schemas/ids.ts";
import { isRefusal } from "../../../schemas/refusal.ts";
import type { Bytes } from "../records.ts";
import type { Store } from "../store.ts";
import type { Vault } from "../vault.ts";
import type { ChangedRows } from "./changed.ts";
import {
  forgetOthers,
  type Known,
  knownWrite,
  loadHeld,
  loadKnown,
  type Remembered,
  rowsWrite,
  unfinishedWrite,
} from "./ledger.ts";
import { type Manifest, openManifest, type Row, type SegmentEntry, sealManifest, sealRows } from "./manifest.ts";
import { type Plan, plan, type Wanted } from "./plan.ts";
import { follow, gather, type Portable, readRowKey, rowKey, wantedOf } from "./portable.ts";
import { type BackupKeys, MOST, manifestId } from "./sealed.ts";

export interface KeeperOptions {
  readonly keys: BackupKeys;
  readonly device: DeviceId;
  readonly store: Store;
  /** Which shelf `vault` is: the backup, or the handover of history to another device, which is kept in the same way. */
  readonly shelf: Shelf;
  readonly vault: Vault;
  readonly portable: Portable;
  /** What has changed since the last run; without it all there is is looked at. */
  readonly changed?: Pick<ChangedRows, "look" | "settle">;
  /** The server's time in ms. */
  readonly now: () => number;
  /** Told before the first segment that is written and after each, with all that lie there or will. */
  readonly onProgress?: (progress: { readonly done: number; readonly total: number }) => void;
}

/**
 * `kept_elsewhere`: another device keeps this backup; `unreadable`: something lies there that this phrase has not sealed; `rolled_back`:
 * the server shows an older backup than this device has written; `contested`: another device wrote at the same time, run again.
 */
export type Outcome =
  | { readonly kind: "kept"; readonly written: number; readonly dropped: number }
  | { readonly kind: "kept_elsewhere"; readonly keeper: DeviceId }
  | { readonly kind: "unreadable" | "rolled_back" | "contested" };

/** Room for rows in one segment, in bytes: CBOR needs a little to say how many there are. */
const ROOM = MOST - 8;
/** Segments written between two manifests: what a crash may cost. */
const BATCH = 4;

/**
 * Brings the backup up to date with the store. Not to be run twice at the same time on one device. `takeOver` makes this device the keeper in
 * place of another one.
 * @throws {Refusal} quota — no room in the vault; unavailable
 */
export async function keepBackup(
  options: KeeperOptions,
  { account, takeOver = false }: { readonly account: Bytes; readonly takeOver?: boolean },
): Promise<Outcome> {
  const found = await findBackup(options, takeOver);
  if (found.kind !== "found") return found;
  const { keys, shelf, store, portable, changed } = options;
  const now = options.now();
  const look = await changed?.look(manifestId(keys));
  const isKept = found.known !== undefined && isSame(found.known.manifest, { account, device: options.device });
  const isIdle = found.certain && look?.names?.size === 0;
  if (isKept && isIdle && !isOverdue(found.known.manifest, now)) return { kind: "kept", written: 0, dropped: 0 };
  const segments = await loadHeld(store, shelf, found.known?.manifest.segments ?? []);
  const names = segments.length > 0 && segments.every(({ isKnown }) => isKnown) ? (look?.names ?? null) : null;
  const rows = await (names === null
    ? gather(store, portable, now)
    : follow({ store, portable, now }, { before: newest(segments), names }));
  const settle = () => look && changed?.settle(manifestId(keys), look);
  const planned = plan({ rows, segments, now, most: ROOM });
  if (isKept && planned.drop.size === 0 && planned.write.length === 0) {
    // A crash may have come between the manifest and the destruction of what it does not name any more
    if (!found.certain) {
      // What lies there may be newer than what was remembered last: its answer was lost
      await store.write([knownWrite(found.known)]);
      await destroyOthers(options, segments);
    }
    await settle();
    return { kind: "kept", written: 0, dropped: 0 };
  }
  const outcome = await carryOut(options, { account, known: found.known, planned });
  if (outcome.kind === "kept") await settle();
  return outcome;
}

/** Whether something has to leave because its time has come. */
function isOverdue({ segments }: Manifest, now: number): boolean {
  return segments.some(({ lane }) => lane !== null && lane <= now);
}

/** Every row that lies in a segment, oldest first: where two hold the same row, the last one counts. */
function* newest(segments: readonly Remembered[]): Iterable<readonly [string, Wanted]> {
  for (const { rows } of segments.toSorted((a, b) => a.version - b.version)) yield* rows;
}

interface Found {
  readonly kind: "found";
  readonly known: Known | undefined;
  /** Nothing was under way. */
  readonly certain: boolean;
}

/** What lies in the vault, as far as this device may go on from it. */
async function findBackup(options: KeeperOptions, takeOver: boolean): Promise<Found | Outcome> {
  const { store, vault, shelf, keys, device } = options;
  const id = manifestId(keys);
  const { known, certain } = await loadKnown(store, { shelf, id });
  const mayGoOn = (found: Known): Found | Outcome => {
    const { keeper } = found.manifest;
    return keeper === device || takeOver
      ? { kind: "found", known: found, certain }
      : { kind: "kept_elsewhere", keeper };
  };
  if (known !== undefined && certain) return mayGoOn(known);
  const there = await vault.get(id);
  if (there === undefined)
    return isBehind(undefined) ? { kind: "rolled_back" } : { kind: "found", known: undefined, certain };
  const manifest = openManifest(keys, there.bytes);
  if (manifest === undefined) return { kind: "unreadable" };
  // Of segments that another device wrote, or that this one has forgotten, nothing is remembered: they will be written anew
  return isBehind(manifest) ? { kind: "rolled_back" } : mayGoOn({ shelf, id, tag: there.tag, manifest });

  /** The server shows less than this device knows was there. A person who takes over has been told. */
  function isBehind(shown: Manifest | undefined): boolean {
    return !takeOver && (shown?.version ?? 0) < (known?.manifest.version ?? 0);
  }
}

function isSame(manifest: Manifest, { account, device }: { account: Bytes; device: DeviceId }): boolean {
  const { account: kept, keeper } = manifest;
  return keeper === device && kept.length === account.length && kept.every((byte, index) => byte === account[index]);
}

async function carryOut(
  options: KeeperOptions,
  { account, known, planned }: { account: Bytes; known: Known | undefined; planned: Plan },
): Promise<Outcome> {
  const { store, vault, shelf, keys, device, now, onProgress } = options;
  let current = known;
  let written = 0;
  const there = (known?.manifest.segments ?? []).filter(({ id }) => !planned.drop.has(id)).length;
  const total = there + planned.write.length;
  let done = there;
  onProgress?.({ done, total });
  const batches = batchesOf(planned.write);
  for (const [index, batch] of batches.entries()) {
    const version = (current?.manifest.version ?? 0) + 1;
    const added: SegmentEntry[] = [];
    for (const part of batch) {
      const entry = await writeSegment(options, part, version);
      if (entry !== undefined) added.push(entry);
      done += 1;
      onProgress?.({ done, total });
    }
    const last = index === batches.length - 1;
    const before = current?.manifest.segments ?? [];
    const segments = [...(last ? before.filter(({ id }) => !planned.drop.has(id)) : before), ...added];
    const stamp = randomBytes(16);
    const manifest: Manifest = { v: 1, version, stamp, keeper: device, writtenAt: now(), account, segments };
    await store.write([unfinishedWrite(shelf, true)]);
    const tag = await putManifest(vault, keys, { manifest, expected: current?.tag ?? null });
    // The next run looks at what lies there, because one was about to be written
    if (tag === undefined) return { kind: "contested" };
    current = { shelf, id: manifestId(keys), tag, manifest };
    await store.write([knownWrite(current)]);
    written += added.length;
  }
  await destroyOthers(options, current?.manifest.segments ?? []);
  return { kind: "kept", written, dropped: planned.drop.size };
}

/** At least one batch: a manifest is written also when segments only leave. */
function batchesOf(parts: Plan["write"]): Plan["write"][] {
  const batches: Plan["write"][] = [parts.slice(0, BATCH)];
  for (let start = BATCH; start < parts.length; start += BATCH) batches.push(parts.slice(start, start + BATCH));
  return batches;
}

/** Seals rows as they are now and stores them; undefined when none of them is left. */
async function writeSegment(
  { store, vault, shelf, keys, portable }: KeeperOptions,
  { kind, lane, rows: names }: Plan["write"][number],
  version: number,
): Promise<SegmentEntry | undefined> {
  const rows: Row[] = [];
  const index: [string, Wanted][] = [];
  let room = ROOM;
  for (const name of names) {
    const { table, key } = readRowKey(name);
    const value = await store.get(table, key);
    const packed = value && portable.pack(table, key, value);
    if (!packed || (packed.expiresAt === null) !== (lane === null) || (packed.expiresAt ?? 0) < (lane ?? 0)) continue;
    const wanted = wantedOf(key, packed);
    // It has grown since it was planned for: the next run finds it a place
    if (wanted.size > room) continue;
    room -= wanted.size;
    rows.push([table, key, packed.value, packed.expiresAt]);
    index.push([rowKey(table, key), wanted]);
  }
  if (rows.length === 0) return undefined;
  const entry = { id: newId<VaultId>(), version, lane, kind };
  await store.write([rowsWrite(shelf, entry.id, index)]);
  await vault.put(entry.id, sealRows(keys, entry, rows), { expected: null, expiresAt: lane });
  return entry;
}

/** The new tag; undefined when somebody else has written since. */
async function putManifest(
  vault: Vault,
  keys: BackupKeys,
  { manifest, expected }: { manifest: Manifest; expected: string | null },
): Promise<string | undefined> {
  try {
    return await vault.put(manifestId(keys), sealManifest(keys, manifest), { expected });
  } catch (error) {
    if (isRefusal(error) && error.code === "conflict") return undefined;
    throw error;
  }
}

/** Destroys whatever lies on the shelf that the manifest does not name: what was dropped, and what a crash has left behind. */
async function destroyOthers(
  { store, vault, shelf, keys }: KeeperOptions,
  segments: readonly { readonly id: string }[],
): Promise<void> {
  const named = new Set<string>([manifestId(keys), ...segments.map(({ id }) => id)]);
  for (const { id } of await vault.list()) if (!named.has(id)) await vault.delete(id);
  await forgetOthers(store, shelf, segments);
  await store.write([unfinishedWrite(shelf, false)]);
}
