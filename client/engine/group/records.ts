// Owns the stored form of a group: which records there are, when each changes, how they are spelled. Must not know the store.
//
//   head                    key schedule, private path and context of the live epoch; or the epoch that ended this device's membership
//   past.<epoch>            of a past epoch, only what opens its late messages
//   tree.<epoch>            the ratchet tree of a kept epoch
//   ratchets.<epoch>.<b>    message ratchets of leaves 8b to 8b+7: the one record that changes per message. Ratchet secrets are nowhere
//                           else, so overwriting this record destroys the key of every message already opened
//   pending                 the own commit in flight with the whole epoch it leads to

import type { Decoder } from "ts-mls/codec/tlsDecoder.js";
import { encode } from "ts-mls/codec/tlsEncoder.js";
import { decodeGroupContext, encodeGroupContext } from "ts-mls/groupContext.js";
import { decodeKeySchedule, encodeKeySchedule } from "ts-mls/keySchedule.js";
import { decodePrivateKeyPath, privateKeyPathEncoder } from "ts-mls/privateKeyPath.js";
import { decodeRatchetTree, encodeRatchetTree, type RatchetTree } from "ts-mls/ratchetTree.js";
import type { SecretTree } from "ts-mls/secretTree.js";
import { decodeCbor, encodeCbor } from "../../../schemas/cbor.ts";
import { readGroupId } from "../../../schemas/ids.ts";
import { slot } from "./library.ts";
import type { Change, Context, Epoch, Group, Live, Pending, Write } from "./state.ts";
import { epochNumber } from "./state.ts";

const BLOCK = 8;

/** Leaf, next generation, its secret, and the key‖nonce of each overtaken generation. */
type StoredRatchet = [leaf: number, generation: number, secret: Uint8Array, unused: [number, Uint8Array][]];
type StoredLive = { context: Uint8Array; keys: Uint8Array; path: Uint8Array; tag: Uint8Array };
type StoredHead = { v: 1; groupId: Uint8Array; live: StoredLive | null; ended: number | null };
type StoredPast = { v: 1; context: Uint8Array; senderData: Uint8Array };
type StoredPending = {
  v: 1;
  digest: Uint8Array;
  change: Change;
  live: StoredLive;
  tree: Uint8Array;
  ratchets: StoredRatchet[];
};

/** The record that changed when a message of `leaf` was sealed or opened. */
export function ratchetWrite(epoch: Epoch, leaf: number): Write {
  return blockWrite(epoch, Math.floor(leaf / BLOCK));
}

/** All records of a newly entered live epoch but the head. */
export function epochWrites(live: Live): Write[] {
  const tree = { key: `tree.${live.number}`, value: encodeRatchetTree(live.tree) };
  return [tree, ...blocksOf(live).map((block) => blockWrite(live, block))];
}

/** The record of an epoch that has just become a past one. */
export function pastWrite(epoch: Epoch): Write {
  const record: StoredPast = { v: 1, context: encodeGroupContext(epoch.context), senderData: epoch.senderDataSecret };
  return { key: `past.${epoch.number}`, value: encodeCbor(record) };
}

/** Deletions of every record of an epoch. */
export function forgetWrites(epoch: Epoch): Write[] {
  const keys = [`past.${epoch.number}`, `tree.${epoch.number}`];
  for (const block of blocksOf(epoch)) keys.push(`ratchets.${epoch.number}.${block}`);
  return keys.map((key) => ({ key, value: null }));
}

/** The record that says which epoch is live, or that there is none any more. */
export function headWrite(groupId: Uint8Array, { live, ended }: Pick<Group, "live" | "ended">): Write {
  const head: StoredHead = { v: 1, groupId, live: live === null ? null : storeLive(live), ended };
  return { key: "head", value: encodeCbor(head) };
}

/** The record of a commit in flight; null deletes it. */
export function pendingWrite(pending: Pending | null): Write {
  if (pending === null) return { key: "pending", value: null };
  const { digest, change, next } = pending;
  const record: StoredPending = {
    v: 1,
    digest,
    change,
    live: storeLive(next),
    tree: encodeRatchetTree(next.tree),
    ratchets: storeRatchets(next.ratchets, 0, next.ratchets.length),
  };
  return { key: "pending", value: encodeCbor(record) };
}

/** Rebuilds a group from all its records; `undefined` when there are none. Throws on records that this code did not write. */
export function loadGroup(records: readonly { key: string; value: Uint8Array }[], context: Context): Group | undefined {
  const byKey = new Map(records.map(({ key, value }) => [key, value]));
  const stored = byKey.get("head");
  if (stored === undefined) return undefined;
  const head = decodeCbor(stored) as StoredHead | undefined;
  const id = head?.v === 1 ? readGroupId(head.groupId) : undefined;
  if (head === undefined || id === undefined) throw new Error("unknown group record");
  const pending = byKey.get("pending");
  return {
    ...id,
    context,
    live: head.live === null ? null : loadLive(head.live, byKey),
    past: [...byKey.keys()]
      .filter((key) => key.startsWith("past."))
      .map((key) => loadPast(key, byKey))
      .sort((a, b) => b.number - a.number),
    pending: pending === undefined ? null : loadPending(pending),
    ended: head.ended,
  };
}

function storeLive(live: Live): StoredLive {
  return {
    context: encodeGroupContext(live.context),
    keys: encodeKeySchedule(live.keySchedule),
    path: encode(privateKeyPathEncoder)(live.privatePath),
    tag: live.confirmationTag,
  };
}

function loadLive(stored: StoredLive, byKey: ReadonlyMap<string, Uint8Array>): Live {
  const base = openLive(stored);
  const tree = openTree(byKey.get(`tree.${base.number}`));
  return { ...base, tree, ratchets: loadBlocks(base.number, tree.length, byKey) };
}

function openLive({ context, keys, path, tag }: StoredLive): Omit<Live, "tree" | "ratchets"> {
  const keySchedule = whole(decodeKeySchedule, keys);
  const groupContext = whole(decodeGroupContext, context);
  return {
    number: epochNumber(groupContext.epoch),
    context: groupContext,
    senderDataSecret: keySchedule.senderDataSecret,
    keySchedule,
    privatePath: whole(decodePrivateKeyPath, path),
    confirmationTag: tag,
  };
}

/** A past epoch whose tree is decoded only if a late message asks for it. */
function loadPast(key: string, byKey: ReadonlyMap<string, Uint8Array>): Epoch {
  const { context, senderData } = decodeCbor(present(byKey.get(key))) as StoredPast;
  const groupContext = whole(decodeGroupContext, context);
  const number = epochNumber(groupContext.epoch);
  let tree: RatchetTree | undefined;
  return {
    number,
    context: groupContext,
    senderDataSecret: senderData,
    ratchets: loadBlocks(number, 0, byKey),
    get tree() {
      tree ??= openTree(byKey.get(`tree.${number}`));
      return tree;
    },
  };
}

function loadPending(bytes: Uint8Array): Pending {
  const { digest, change, live, tree: encodedTree, ratchets: stored } = decodeCbor(bytes) as StoredPending;
  const tree = openTree(encodedTree);
  const ratchets: SecretTree = new Array(tree.length);
  for (const ratchet of stored) place(ratchets, ratchet);
  return { digest, change, next: { ...openLive(live), tree, ratchets } };
}

function blocksOf({ ratchets }: Epoch): number[] {
  return [...new Set(Object.keys(ratchets).map((index) => Math.floor(Number(index) / 2 / BLOCK)))];
}

function blockWrite({ number, ratchets }: Epoch, block: number): Write {
  const stored = storeRatchets(ratchets, block * BLOCK * 2, (block + 1) * BLOCK * 2);
  return { key: `ratchets.${number}.${block}`, value: encodeCbor(stored) };
}

function storeRatchets(ratchets: SecretTree, from: number, to: number): StoredRatchet[] {
  const stored: StoredRatchet[] = [];
  for (let index = from; index < Math.min(to, ratchets.length); index += 2) {
    const ratchet = ratchets[index]?.application;
    if (ratchet === undefined) continue;
    const unused = Object.entries(ratchet.unusedGenerations).map(([at, key]): [number, Uint8Array] => [
      Number(at),
      key,
    ]);
    stored.push([index / 2, ratchet.generation, ratchet.secret, unused]);
  }
  return stored;
}

function loadBlocks(epoch: number, length: number, byKey: ReadonlyMap<string, Uint8Array>): SecretTree {
  const ratchets: SecretTree = new Array(length);
  for (const [key, value] of byKey) {
    if (!key.startsWith(`ratchets.${epoch}.`)) continue;
    for (const stored of decodeCbor(value) as StoredRatchet[]) place(ratchets, stored);
  }
  return ratchets;
}

function place(ratchets: SecretTree, [leaf, generation, secret, unused]: StoredRatchet): void {
  ratchets[leaf * 2] = slot({ generation, secret, unusedGenerations: Object.fromEntries(unused) });
}

function openTree(bytes: Uint8Array | undefined): RatchetTree {
  return whole(decodeRatchetTree, present(bytes));
}

function whole<Value>(decode: Decoder<Value>, bytes: Uint8Array): Value {
  const decoded = decode(bytes, 0);
  if (decoded === undefined || decoded[1] !== bytes.length) throw new Error("damaged group record");
  return decoded[0];
}

function present(bytes: Uint8Array | undefined): Uint8Array {
  if (bytes === undefined) throw new Error("missing group record");
  return bytes;
}
