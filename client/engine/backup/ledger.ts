// Owns what this device remembers of the backup it keeps: the last manifest, and which row lies in which segment. In the store's meta table.

import type { Shelf } from "../../../schemas/api.ts";
import { decodeCbor, encodeCbor } from "../../../schemas/cbor.ts";
import type { VaultId } from "../../../schemas/ids.ts";
import type { Store, Write } from "../store.ts";
import type { Manifest, SegmentEntry } from "./manifest.ts";
import type { Held, Wanted } from "./plan.ts";

const stateKey = (shelf: Shelf): string => `${shelf}/state`;
const unfinishedKey = (shelf: Shelf): string => `${shelf}/unfinished`;
const rowsPrefix = (shelf: Shelf): string => `${shelf}/rows/`;

/** A manifest as it lies on a shelf of the vault under `id`, with its tag there. */
export interface Known {
  readonly shelf: Shelf;
  readonly id: VaultId;
  readonly tag: string;
  readonly manifest: Manifest;
}

/**
 * The manifest this device wrote or restored last. `certain`: nothing was under way when it was last heard of,
 * so that this is what lies there if nobody else has written. What is remembered of another phrase's backup, under another id, does not count.
 */
export async function loadKnown(
  store: Store,
  { shelf, id }: Pick<Known, "shelf" | "id">,
): Promise<{ known: Known | undefined; certain: boolean }> {
  const known = read<Known>(await store.get("meta", stateKey(shelf)));
  const certain = (await store.get("meta", unfinishedKey(shelf))) === undefined;
  return known?.id === id ? { known, certain } : { known: undefined, certain: false };
}

/** A segment with its rows, remembered as they were when they were written. */
export interface Remembered extends Held {
  readonly id: VaultId;
  readonly rows: ReadonlyMap<string, Wanted>;
  /** False when its rows are not remembered: then it holds something nobody wants, so that it is dropped. */
  readonly isKnown: boolean;
}

/** The segments of a manifest with their rows. */
export async function loadHeld(store: Store, shelf: Shelf, segments: readonly SegmentEntry[]): Promise<Remembered[]> {
  const prefix = rowsPrefix(shelf);
  const kept = new Map((await store.scan("meta", { prefix })).map(({ key, value }) => [key, value]));
  return segments.map((segment) => {
    const rows = read<Remembrance[]>(kept.get(prefix + segment.id));
    const hot = segment.kind === "state";
    const known = rows?.map(([name, digest, size, expiresAt]) => [name, { digest, size, expiresAt, hot }] as const);
    return { ...segment, rows: new Map(known ?? [["", NOBODY_WANTS]]), isKnown: rows !== undefined };
  });
}

type Remembrance = readonly [name: string, digest: string, size: number, expiresAt: number | null];

const NOBODY_WANTS: Wanted = { digest: "", size: 0, expiresAt: null, hot: false };

/** Remembers the rows of a segment. */
export function rowsWrite(shelf: Shelf, id: VaultId, rows: Iterable<readonly [string, Wanted]>): Write {
  const remembered = [...rows].map(
    ([name, { digest, size, expiresAt }]): Remembrance => [name, digest, size, expiresAt],
  );
  return { table: "meta", key: rowsPrefix(shelf) + id, value: encodeCbor(remembered) };
}

/** Remembers that the vault is about to be changed, or that it is as it should be. */
export function unfinishedWrite(shelf: Shelf, unfinished: boolean): Write {
  return { table: "meta", key: unfinishedKey(shelf), value: unfinished ? encodeCbor(true) : null };
}

/** Remembers what lies in the vault. */
export function knownWrite(known: Known): Write {
  return { table: "meta", key: stateKey(known.shelf), value: encodeCbor(known) };
}

/** Forgets the rows of every segment that is not among these. */
export async function forgetOthers(
  store: Store,
  shelf: Shelf,
  segments: readonly { readonly id: string }[],
): Promise<void> {
  const prefix = rowsPrefix(shelf);
  const names = new Set(segments.map(({ id }) => prefix + id));
  const kept = await store.scan("meta", { prefix });
  const gone = kept.filter(({ key }) => !names.has(key));
  if (gone.length > 0) await store.write(gone.map(({ key }) => ({ table: "meta", key, value: null })));
}

/** Forgets everything of a backup: the next run compares with nothing. */
export async function forgetBackup(store: Store, shelf: Shelf): Promise<void> {
  await store.write([stateKey(shelf), unfinishedKey(shelf)].map((key) => ({ table: "meta", key, value: null })));
  await forgetOthers(store, shelf, []);
}

function read<Kept>(bytes: Uint8Array | undefined): Kept | undefined {
  return bytes && (decodeCbor(bytes) as Kept);
}
