// Owns bringing a sealed backup back into an empty store: everything is verified before it is written, and an interrupted restore goes on
// where it stopped. Knows neither where the backup lies nor what rows mean.

import type { Shelf } from "../../../schemas/api.ts";
import { equalBytes } from "../../../schemas/bytes.ts";
import { decodeCbor, encodeCbor } from "../../../schemas/cbor.ts";
import type { Store, Write } from "../store.ts";
import type { VaultReader } from "../vault.ts";
import { forgetBackup, knownWrite, rowsWrite } from "./ledger.ts";
import { type Manifest, openManifest, openRows, type Row, type SegmentEntry } from "./manifest.ts";
import { type Portable, rowKey, wantedOf } from "./portable.ts";
import { type BackupKeys, manifestId } from "./sealed.ts";

const progressKey = (shelf: Shelf): string => `${shelf}/restoring`;
/** How often a backup that changes while it is read is begun again. */
const ATTEMPTS = 3;

export interface RestoreOptions {
  readonly keys: BackupKeys;
  /** Which shelf `vault` is. */
  readonly shelf: Shelf;
  readonly vault: VaultReader;
  readonly store: Store;
  readonly portable: Portable;
  /** The server's time in ms. */
  readonly now: () => number;
  /** Told after every segment. */
  readonly onProgress?: (progress: { readonly done: number; readonly total: number }) => void;
}

/** A backup that was found, and its tag in the vault. */
export interface FoundBackup {
  readonly manifest: Manifest;
  readonly tag: string;
}

/** `missing` counts segments that are gone or were not sealed by this phrase for this place: whatever they held is lost, the rest is there. */
export interface Restored {
  readonly rows: number;
  readonly missing: number;
}

/** The backup of this phrase; `undefined` when there is none or what lies there is not one. @throws {Refusal} unavailable */
export async function findBackup({
  keys,
  vault,
}: Pick<RestoreOptions, "keys" | "vault">): Promise<FoundBackup | undefined> {
  const there = await vault.get(manifestId(keys));
  const manifest = there && openManifest(keys, there.bytes);
  return manifest && { manifest, tag: there.tag };
}

/**
 * Writes every row of the backup into the store, oldest segments first, and remembers what it has restored, so that this device can go on
 * keeping the backup. Called again after an interruption it goes on; a backup that was changed meanwhile is begun anew.
 * @throws {Refusal} unavailable, quota — call again
 */
export async function restoreBackup(options: RestoreOptions, found: FoundBackup): Promise<Restored> {
  for (let attempt = 1, backup = found; ; attempt++) {
    const restored = await attemptRestore(options, backup);
    if (restored.missing === 0 || attempt === ATTEMPTS) return restored;
    const newer = await findBackup(options);
    if (newer === undefined || equalBytes(newer.manifest.stamp, backup.manifest.stamp)) return restored;
    backup = newer;
  }
}

interface Progress {
  readonly stamp: Uint8Array;
  readonly done: readonly string[];
  readonly rows: number;
  readonly missing: number;
}

async function attemptRestore(options: RestoreOptions, { manifest, tag }: FoundBackup): Promise<Restored> {
  const { store, shelf, onProgress } = options;
  let progress = await begin(options, manifest);
  const segments = manifest.segments.toSorted((a, b) => a.version - b.version);
  for (const segment of segments) {
    if (progress.done.includes(segment.id)) continue;
    const rows = await fetchRows(options, segment);
    const unpacked = (rows ?? []).map((row) => writesOf(options, row)).filter((writes) => writes.length > 0);
    const gone = segment.lane !== null && segment.lane <= options.now();
    progress = {
      stamp: manifest.stamp,
      done: [...progress.done, segment.id],
      rows: progress.rows + unpacked.length,
      missing: progress.missing + (rows === undefined && !gone ? 1 : 0),
    };
    await store.write([...unpacked.flat(), ...indexOf(shelf, segment, rows), progressWrite(shelf, progress)]);
    onProgress?.({ done: progress.done.length, total: segments.length });
  }
  const known = knownWrite({ shelf, id: manifestId(options.keys), tag, manifest });
  await store.write([known, { table: "meta", key: progressKey(shelf), value: null }]);
  return { rows: progress.rows, missing: progress.missing };
}

/** Where an earlier attempt on the same manifest stopped; after one on another manifest everything is begun anew. */
async function begin({ store, shelf, portable }: RestoreOptions, { stamp }: Manifest): Promise<Progress> {
  const kept = await store.get("meta", progressKey(shelf));
  const progress = kept && (decodeCbor(kept) as Progress);
  if (progress && equalBytes(progress.stamp, stamp)) return progress;
  if (progress) await forgetBackup(store, shelf);
  for (const table of progress ? portable.tables : []) {
    const rows = await store.scan(table);
    if (rows.length > 0) await store.write(rows.map(({ key }) => ({ table, key, value: null })));
  }
  return { stamp, done: [], rows: 0, missing: 0 };
}

/** The segment's rows; undefined when it is gone or is not the one the manifest names. */
async function fetchRows({ vault, keys }: RestoreOptions, segment: SegmentEntry): Promise<readonly Row[] | undefined> {
  const there = await vault.get(segment.id);
  return there && openRows(keys, segment, there.bytes);
}

/** What a row becomes here: nothing when it has expired, belongs into no portable table, or is not understood. */
function writesOf({ portable, now }: RestoreOptions, [table, key, value, expiresAt]: Row): readonly Write[] {
  if (!portable.tables.includes(table) || (expiresAt !== null && expiresAt <= now())) return [];
  return portable.unpack(table, key, { value, expiresAt });
}

function indexOf(shelf: Shelf, segment: SegmentEntry, rows: readonly Row[] | undefined): Write[] {
  if (rows === undefined) return [];
  const index = rows.map(([table, key, value, expiresAt]) => {
    return [rowKey(table, key), wantedOf(key, { value, expiresAt, hot: false })] as const;
  });
  return [rowsWrite(shelf, segment.id, index)];
}

function progressWrite(shelf: Shelf, progress: Progress): Write {
  return { table: "meta", key: progressKey(shelf), value: encodeCbor(progress) };
}
