// Owns the shapes of what is inside a backup's pieces: the manifest that names every segment, and the rows of a segment.

import * as v from "valibot";
import { decodeCbor, encodeCbor } from "../../../schemas/cbor.ts";
import { bytesOf } from "../../../schemas/credential.ts";
import { DeviceId, VaultId } from "../../../schemas/ids.ts";
import { TABLES } from "../store.ts";
import { type BackupKeys, manifestId, openPiece, sealPiece } from "./sealed.ts";

const Count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const Bytes = v.instance(Uint8Array<ArrayBuffer>);

/** When everything in a segment leaves the backup, in ms by the server's clock; null = it stays until it is deleted. */
const Lane = v.nullable(Count);

const SegmentEntry = v.strictObject({
  id: VaultId,
  /** Version of the backup that wrote it: where two segments hold the same row, the higher one is right. */
  version: Count,
  lane: Lane,
  /** `state` holds what changes all the time and is written anew as a whole, `history` what stays as it is. */
  kind: v.picklist(["state", "history"]),
});
export type SegmentEntry = v.InferOutput<typeof SegmentEntry>;

export const Manifest = v.strictObject({
  v: v.literal(1),
  version: Count,
  /** Random for every manifest written: tells two of the same version apart. */
  stamp: bytesOf(16),
  /** The one device that writes this backup. */
  keeper: DeviceId,
  writtenAt: Count,
  /** The account with its identity key, as the engine keeps it. */
  account: Bytes,
  segments: v.array(SegmentEntry),
});
export type Manifest = v.InferOutput<typeof Manifest>;

const Row = v.strictTuple([
  v.picklist(TABLES),
  v.pipe(v.string(), v.regex(/^[\x21-\x7e]{1,512}$/)),
  Bytes,
  v.nullable(Count),
]);
/** A row of the store: table, key, value, and when it expires in ms by the server's clock. */
export type Row = v.InferOutput<typeof Row>;
const Rows = v.array(Row);

/** The sealed bytes of a manifest. */
export function sealManifest(keys: BackupKeys, manifest: Manifest): Uint8Array<ArrayBuffer> {
  return sealPiece(keys, { kind: "manifest", id: manifestId(keys), version: 0 }, encodeCbor(manifest));
}

/** A manifest from its sealed bytes; `undefined` when they were not sealed by this phrase for this member. */
export function openManifest(keys: BackupKeys, bytes: Uint8Array): Manifest | undefined {
  const opened = openPiece(keys, { kind: "manifest", id: manifestId(keys), version: 0 }, bytes);
  const parsed = v.safeParse(Manifest, opened && decodeCbor(opened));
  return parsed.success ? parsed.output : undefined;
}

/** The sealed bytes of a segment. */
export function sealRows(
  keys: BackupKeys,
  { id, version }: SegmentEntry,
  rows: readonly Row[],
): Uint8Array<ArrayBuffer> {
  return sealPiece(keys, { kind: "segment", id, version }, encodeCbor(rows));
}

/** The rows of a segment; `undefined` when the bytes are not exactly the segment this entry names. */
export function openRows(
  keys: BackupKeys,
  { id, version }: SegmentEntry,
  bytes: Uint8Array,
): readonly Row[] | undefined {
  const opened = openPiece(keys, { kind: "segment", id, version }, bytes);
  const parsed = v.safeParse(Rows, opened && decodeCbor(opened));
  return parsed.success ? parsed.output : undefined;
}
