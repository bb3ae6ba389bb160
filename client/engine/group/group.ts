// Owns the door to one conversation's MLS group: create it, load it, seal into it, look at it. Commits, joining and opening have their
// own files beside this one. Nothing here knows the server, the store or what a plaintext means.

import { createGroup as createMlsGroup } from "ts-mls/clientState.js";
import { protectApplicationData } from "ts-mls/messageProtection.js";
import { type Header, readHeader } from "../../../schemas/envelope.ts";
import { type ConversationId, readGroupId } from "../../../schemas/ids.ts";
import { peersOf } from "./credential-check.ts";
import { idOf, replace } from "./epochs.ts";
import { writeMessage } from "./frame.ts";
import { generateOwn } from "./key-packages.ts";
import { configFor, fromLibrary } from "./library.ts";
import { bucketFor, MAX_GENERATION, UPDATE_AFTER } from "./limits.ts";
import { suite } from "./provider.ts";
import { loadGroup as load, ratchetWrite } from "./records.ts";
import type { Context, Group, Live, Peer, Step } from "./state.ts";

/** A sealed message with the group after it. Its writes must be durable before the bytes leave: a ratchet key is never used twice. */
export interface Sealed extends Step {
  readonly bytes: Uint8Array;
}

/** Facts of the live epoch that people and the engine may want to compare or act on. */
export interface Facts {
  readonly epoch: number;
  readonly devices: number;
  /** Own leaf index. */
  readonly leaf: number;
  /** Messages this device sealed in this epoch. */
  readonly sealed: number;
  /** Whether this device should commit an update before it seals much more. */
  readonly updateDue: boolean;
  /** 32 bytes that are equal on exactly the devices that are in the same state of the group (RFC 9420 §8.7). */
  readonly epochAuthenticator: Uint8Array;
}

/** A new group at epoch 0 with this device alone in it. `now` in ms. */
export async function createGroup(order: {
  context: Context;
  conversation: ConversationId;
  generation: number;
  now: number;
}): Promise<Step> {
  const { context, conversation, generation, now } = order;
  const { publicPackage, privatePackage } = await generateOwn(context.me, { lastResort: false, now });
  const id = idOf({ conversation, generation });
  const state = await createMlsGroup(id, publicPackage, privatePackage, [], await suite(), configFor(context));
  return replace(emptyGroup(order), fromLibrary(state));
}

/** Rebuilds a group from all its records, in any order; `undefined` when there are none. Throws when they are damaged. */
export function loadGroup(records: readonly { key: string; value: Uint8Array }[], context: Context): Group | undefined {
  return load(records, context);
}

/** Seals a plaintext of at most `MAX_PLAINTEXT` bytes for everybody in the live epoch, padded to a bucket. */
export async function seal(group: Group, plaintext: Uint8Array): Promise<Sealed> {
  const live = liveOf(group);
  const padUntilLength = bucketFor(plaintext.length);
  if (padUntilLength === undefined) throw new RangeError("plaintext too long to seal");
  const leaf = live.privatePath.leafIndex;
  if (generationOf(live, leaf) >= MAX_GENERATION) throw new RangeError("commit an update before sealing more");
  const { newSecretTree, privateMessage, consumed } = await protectApplicationData(
    group.context.me.signatureKey.privateKey,
    live.senderDataSecret,
    plaintext,
    new Uint8Array(),
    live.context,
    live.ratchets,
    leaf,
    { kind: "padUntilLength", padUntilLength },
    await suite(),
  );
  const next: Live = { ...live, ratchets: newSecretTree };
  return {
    group: { ...group, live: next },
    writes: [ratchetWrite(next, leaf)],
    spent: consumed,
    bytes: writeMessage({ wireformat: "mls_private_message", privateMessage }),
  };
}

/** Which conversation, generation and epoch an envelope is for, and of what kind; `undefined` when it is none of ours. Proves nothing. */
export function peek(
  bytes: Uint8Array,
): (Pick<Header, "kind" | "epoch"> & { conversation: ConversationId; generation: number }) | undefined {
  const header = readHeader(bytes);
  const id = header === undefined ? undefined : readGroupId(header.groupId);
  return header === undefined || id === undefined ? undefined : { kind: header.kind, epoch: header.epoch, ...id };
}

/** Every device in the live epoch, by leaf index; empty when this device is not in the group. */
export function roster(group: Group): Peer[] {
  return group.live === null ? [] : peersOf(group.live.tree);
}

/** Facts of the live epoch; `undefined` when this device is not in the group. */
export function facts(group: Group): Facts | undefined {
  const { live } = group;
  if (live === null) return undefined;
  const leaf = live.privatePath.leafIndex;
  const sealed = generationOf(live, leaf);
  return {
    epoch: live.number,
    devices: peersOf(live.tree).length,
    leaf,
    sealed,
    updateDue: sealed >= UPDATE_AFTER,
    epochAuthenticator: live.keySchedule.epochAuthenticator.slice(),
  };
}

/** The epoch authenticator of the live epoch: see {@link Facts}. Throws when this device is not in the group. */
export function epochAuthenticator(group: Group): Uint8Array {
  return liveOf(group).keySchedule.epochAuthenticator.slice();
}

/** A group that this device is not in yet. */
export function emptyGroup(id: { context: Context; conversation: ConversationId; generation: number }): Group {
  const { context, conversation, generation } = id;
  return { conversation, generation, context, live: null, past: [], pending: null, ended: null };
}

function liveOf(group: Group): Live {
  if (group.live === null) throw new Error("this device is not in the group");
  return group.live;
}

function generationOf(live: Live, leaf: number): number {
  return live.ratchets[leaf * 2]?.application.generation ?? 0;
}
