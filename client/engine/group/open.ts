// Owns opening envelopes: every byte of them is hostile until proven otherwise, and no byte of them makes this code throw.

import { unprotectPrivateMessage } from "ts-mls/messageProtection.js";
import { decryptSenderData, type PrivateMessage } from "ts-mls/privateMessage.js";
import { processPublicMessage } from "ts-mls/processMessages.js";
import { emptyPskIndex } from "ts-mls/pskIndex.js";
import type { PublicMessage } from "ts-mls/publicMessage.js";
import { equalBytes } from "../../../schemas/bytes.ts";
import { readCommit, readHeader } from "../../../schemas/envelope.ts";
import { confirmPending } from "./commit.ts";
import { peerAt } from "./credential-check.ts";
import { advance, end, idOf, withPending } from "./epochs.ts";
import { readMessage } from "./frame.ts";
import { type CommitFault, judge } from "./guard.ts";
import { fromLibrary, RETENTION, toLibrary } from "./library.ts";
import { MAX_BYTES, MAX_GENERATION, MAX_LEAVES } from "./limits.ts";
import { suite } from "./provider.ts";
import { ratchetWrite } from "./records.ts";
import type { Change, Epoch, Group, Live, Peer, Step } from "./state.ts";
import { isSoundTree } from "./tree-check.ts";

/** Nothing to show and nothing wrong on our side; `replayed` and `past_epoch` alone may also mean a server that plays tricks. */
export type SkipReason = "replayed" | "past_epoch" | "not_in_group";

/** Something is wrong with the envelope, with who made it, or with us. */
export type UnreadableReason =
  | "too_large"
  | "malformed"
  | "other_group"
  | "future_epoch"
  | "quarantined"
  | "invalid"
  | "too_far_ahead"
  | CommitFault;

/** What became of an envelope. */
export type Outcome =
  | { readonly kind: "message"; readonly sender: Peer; readonly plaintext: Uint8Array; readonly epoch: number }
  | {
      readonly kind: "epoch";
      /** The epoch that now is live, or that began without this device. */
      readonly epoch: number;
      readonly change: Change;
      /** The commit was this device's own, now confirmed. */
      readonly own: boolean;
      /** An own commit was in flight and lost; make it again if it is still wanted. */
      readonly lostPending: boolean;
      readonly selfRemoved: boolean;
    }
  | { readonly kind: "skipped"; readonly reason: SkipReason }
  | { readonly kind: "unreadable"; readonly reason: UnreadableReason };

/** The outcome with the group after it: unchanged, without writes, unless `kind` is "message" or "epoch". */
export interface Opened extends Step {
  readonly outcome: Outcome;
}

/**
 * Opens one envelope, in the order of the log. `acceptedAt` is the server's time (ms) for it. With `quarantined` the envelope was in
 * processing when the engine last died: it is reported unreadable without another look.
 */
export async function open(
  group: Group,
  bytes: Uint8Array,
  { acceptedAt, quarantined = false }: { acceptedAt: number; quarantined?: boolean },
): Promise<Opened> {
  if (quarantined) return unreadable(group, "quarantined");
  if (bytes.length > MAX_BYTES.commit) return unreadable(group, "too_large");
  const header = readHeader(bytes);
  if (header === undefined) return unreadable(group, "malformed");
  if (!equalBytes(header.groupId, idOf(group))) return unreadable(group, "other_group");
  if (header.kind === "application") return openMessage(group, bytes, header.epoch);
  if (await isPending(group, bytes)) return confirmed(group);
  return openCommit(group, bytes, { epoch: header.epoch, acceptedAt });
}

async function openMessage(group: Group, bytes: Uint8Array, number: number): Promise<Opened> {
  if (bytes.length > MAX_BYTES.application) return unreadable(group, "too_large");
  const { live } = group;
  if (live === null) return skipped(group, "not_in_group");
  if (number > live.number) return unreadable(group, "future_epoch");
  const epoch = number === live.number ? live : group.past.find((past) => past.number === number);
  if (epoch === undefined) return skipped(group, "past_epoch");
  const message = readMessage(bytes, { format: "mls_private_message", limit: MAX_BYTES.application });
  if (message === undefined) return unreadable(group, "malformed");
  const { privateMessage } = message;
  if (privateMessage.contentType !== "application" || privateMessage.authenticatedData.length > 0) {
    return unreadable(group, "malformed");
  }
  return decrypt(group, { epoch, message: privateMessage });
}

async function decrypt(group: Group, { epoch, message }: { epoch: Epoch; message: PrivateMessage }): Promise<Opened> {
  const { senderDataSecret, ratchets, tree, context } = epoch;
  try {
    const cs = await suite();
    const data = await decryptSenderData(message, senderDataSecret, cs);
    const sender = data === undefined ? undefined : peerAt(tree, data.leafIndex);
    const ratchet = sender === undefined ? undefined : ratchets[sender.leaf * 2]?.application;
    if (data === undefined || sender === undefined || ratchet === undefined) return unreadable(group, "invalid");
    const ahead = data.generation - ratchet.generation;
    if (ahead < 0 && ratchet.unusedGenerations[data.generation] === undefined) return skipped(group, "replayed");
    if (data.generation >= MAX_GENERATION) return unreadable(group, "too_far_ahead");
    const read = await unprotectPrivateMessage(senderDataSecret, message, ratchets, tree, context, RETENTION, cs);
    const { content } = read.content;
    if (content.contentType !== "application") return unreadable(group, "invalid");
    const outcome: Outcome = {
      kind: "message",
      sender,
      plaintext: content.applicationData.slice(),
      epoch: epoch.number,
    };
    return { ...turned(group, { epoch, ratchets: read.tree, leaf: sender.leaf }), spent: read.consumed, outcome };
  } catch {
    return unreadable(group, "invalid");
  }
}

/** The group after the ratchet of one leaf turned. */
function turned(
  group: Group,
  { epoch, ratchets, leaf }: { epoch: Epoch; ratchets: Epoch["ratchets"]; leaf: number },
): Pick<Step, "group" | "writes"> {
  const next = { ...epoch, ratchets };
  const writes = [ratchetWrite(next, leaf)];
  if (group.live !== null && epoch.number === group.live.number) {
    return { group: { ...group, live: { ...group.live, ratchets } }, writes };
  }
  return { group: { ...group, past: group.past.map((past) => (past.number === next.number ? next : past)) }, writes };
}

async function openCommit(
  group: Group,
  bytes: Uint8Array,
  { epoch, acceptedAt }: { epoch: number; acceptedAt: number },
): Promise<Opened> {
  const { live, context } = group;
  if (live === null) return skipped(group, "not_in_group");
  if (epoch < live.number) return skipped(group, "past_epoch");
  if (epoch > live.number) return unreadable(group, "future_epoch");
  // The contract's reader is linear; the library's is not, so it gets only what has no more proposals than a tree has room for
  const facts = readCommit(bytes);
  const proposals = facts === undefined ? Number.POSITIVE_INFINITY : facts.added.length + facts.removed.length;
  if (proposals > 2 * MAX_LEAVES) return unreadable(group, "malformed");
  const message = readMessage(bytes, { format: "mls_public_message", limit: MAX_BYTES.commit });
  if (message === undefined) return unreadable(group, "malformed");
  try {
    const verdict = await judge(message.publicMessage, { live, context, at: acceptedAt });
    if ("fault" in verdict) return unreadable(group, verdict.fault);
    return await follow(group, { live, message: message.publicMessage, change: verdict.change });
  } catch {
    return unreadable(group, "invalid");
  }
}

async function follow(
  group: Group,
  { live, message, change }: { live: Live; message: PublicMessage; change: Change },
): Promise<Opened> {
  const state = toLibrary(live, group.context);
  const { newState } = await processPublicMessage(state, message, emptyPskIndex, await suite());
  const epoch = live.number + 1;
  const lostPending = group.pending !== null;
  if (newState.groupActiveState.kind === "removedFromGroup") {
    return { ...end(group), outcome: { kind: "epoch", epoch, change, own: false, lostPending, selfRemoved: true } };
  }
  if (!isSoundTree(newState.ratchetTree)) return unreadable(group, "malformed");
  const lost = lostPending ? withPending(group, null).spent : [];
  const step = advance(group, fromLibrary(newState));
  const outcome: Outcome = { kind: "epoch", epoch, change, own: false, lostPending, selfRemoved: false };
  return { ...step, spent: [...step.spent, ...lost], outcome };
}

function confirmed(group: Group): Opened {
  const { change, epoch, ...step } = confirmPending(group);
  const outcome: Outcome = { kind: "epoch", epoch, change, own: true, lostPending: false, selfRemoved: false };
  return { ...step, outcome };
}

async function isPending(group: Group, bytes: Uint8Array): Promise<boolean> {
  if (group.pending === null) return false;
  return equalBytes(await (await suite()).hash.digest(bytes), group.pending.digest);
}

function skipped(group: Group, reason: SkipReason): Opened {
  return { group, writes: [], spent: [], outcome: { kind: "skipped", reason } };
}

function unreadable(group: Group, reason: UnreadableReason): Opened {
  return { group, writes: [], spent: [], outcome: { kind: "unreadable", reason } };
}
