// Owns the rules by which a conversation accepts the next send or commit (RFC 9420 §12). Pure: knows no storage, no sockets and no clock.

import { equalBytes } from "../../schemas/bytes.ts";
import type { Credential } from "../../schemas/credential.ts";
import { applyToLeaves, type CommitFacts, type Header, readCommit, readHeader } from "../../schemas/envelope.ts";
import type { CommitFrame } from "../../schemas/frames.ts";
import { type ConversationId, type DeviceId, type MemberId, readGroupId, type TenantId } from "../../schemas/ids.ts";
import { Refusal } from "../../schemas/refusal.ts";

/** A device and the member it belongs to. */
export interface Who {
  readonly member: MemberId;
  readonly device: DeviceId;
}

/** Who sits on a leaf of the group; `pending` once removed, until a commit has taken the leaf out. */
export interface Seat extends Who {
  readonly pending: boolean;
}

/** All that decides what is accepted next. */
export interface Standing {
  readonly tenant: TenantId;
  readonly conversation: ConversationId;
  readonly generation: number;
  /** MLS group_id of this conversation and generation. */
  readonly groupId: Uint8Array;
  readonly epoch: number;
  /** By leaf index; null for a blank leaf. */
  readonly seats: readonly (Seat | null)[];
  readonly leafOf: ReadonlyMap<DeviceId, number>;
  readonly participants: ReadonlySet<MemberId>;
  readonly expelled: ReadonlySet<DeviceId>;
  /** Leaves whose seats are pending. */
  readonly pending: readonly number[];
}

/**
 * What an accepted commit makes of the group. `joined` sit down on the leftmost blank leaves, in this order, after `removed` have left.
 * In a new generation nobody sits where he sat: `seats` are all there are.
 */
export interface Change {
  readonly generation: number;
  readonly epoch: number;
  readonly joined: readonly Who[];
  readonly removed: readonly number[];
  /** By leaf index after the commit. */
  readonly seats: readonly (Who | null)[];
}

/**
 * Decides over one application message.
 * @throws {Refusal} malformed — no PrivateMessage of this conversation; stale_generation, stale_epoch — made for another state of the group;
 *   removal_pending — a removal has to be committed first; forbidden — the device has no seat
 */
export function acceptSend(standing: Standing, who: Who, bytes: Uint8Array): void {
  const header = readHeader(bytes);
  if (header?.kind !== "application") throw new Refusal("malformed");
  checkPlace(standing, header);
  if (standing.pending.length > 0) throw new Refusal("removal_pending", { leaves: standing.pending });
  if (!standing.leafOf.has(who.device)) throw new Refusal("forbidden");
}

/**
 * Decides over one commit with its welcomes.
 * @throws {Refusal} malformed — no readable commit of this conversation; stale_generation, stale_epoch — made for another state of the group;
 *   commit_forbidden — it adds, removes or welcomes somebody it may not, or begins a generation otherwise than a reset does
 */
export function acceptCommit(
  standing: Standing,
  who: Who,
  { bytes, welcomes }: Pick<CommitFrame, "bytes" | "welcomes">,
): Change {
  const facts = readCommit(bytes);
  if (facts === undefined) throw new Refusal("malformed");
  if (beginsNext(standing, facts)) return acceptReset(standing, who, { facts, welcomes });
  checkPlace(standing, facts);
  const joined =
    facts.joiner === null ? checkMember(standing, who, facts) : checkJoiner(standing, who, facts.joiner, facts);
  checkWelcomes(facts.joiner === null ? joined : [], welcomes);
  const seats = applyToLeaves<Who>(standing.seats, { removed: facts.removed, added: joined });
  if (seats === undefined) throw new Refusal("commit_forbidden");
  return { generation: standing.generation, epoch: standing.epoch + 1, joined, removed: facts.removed, seats };
}

/** Whether a commit is the first of the generation after the present one. */
function beginsNext({ conversation, generation }: Standing, header: Header): boolean {
  const id = readGroupId(header.groupId);
  return id?.conversation === conversation && id.generation === generation + 1 && header.epoch === 0;
}

/**
 * A reset: a participant's device, alone in a new group, commits in whom it can. Nobody is asked what the old group was worth: it may be
 * beyond repair for everybody but the device that broke it.
 */
function acceptReset(
  standing: Standing,
  who: Who,
  { facts, welcomes }: { facts: CommitFacts; welcomes: CommitFrame["welcomes"] },
): Change {
  const { sender, added, removed } = facts;
  const joined = added.map(({ member, device }) => ({ member, device }));
  const seats = [{ member: who.member, device: who.device }, ...joined];
  const isAlone = sender === 0 && removed.length === 0 && belongs(standing, who);
  const isOnce = new Set(seats.map(({ device }) => device)).size === seats.length;
  if (!isAlone || !isOnce || !added.every((credential) => mayEnter(standing, credential)))
    throw new Refusal("commit_forbidden");
  checkWelcomes(joined, welcomes);
  return { generation: standing.generation + 1, epoch: 1, joined: seats, removed: [], seats };
}

function checkPlace(standing: Standing, header: Header): void {
  const { conversation, generation, epoch } = standing;
  if (!equalBytes(header.groupId, standing.groupId)) {
    const known = readGroupId(header.groupId)?.conversation === conversation;
    throw known ? new Refusal("stale_generation", { generation }) : new Refusal("malformed");
  }
  if (header.epoch === epoch) return;
  // Nothing but a reset is made for epoch 0 of a later generation: another one came first
  const isLateReset = generation > 0 && header.epoch === 0;
  throw isLateReset ? new Refusal("stale_generation", { generation }) : new Refusal("stale_epoch", { epoch });
}

/** A commit by a device of the group: its adds may come in, its removes may go. */
function checkMember(standing: Standing, who: Who, { sender, added, removed }: CommitFacts): readonly Who[] {
  const own = standing.leafOf.get(who.device);
  if (own === undefined || own !== sender || standing.seats[own]?.pending) throw new Refusal("commit_forbidden");
  if (!removed.every((leaf) => leaf !== own && mayRemove(standing.seats[leaf], who)))
    throw new Refusal("commit_forbidden");
  const removedNow = new Set(removed);
  const free = ({ device }: Credential) => {
    const leaf = standing.leafOf.get(device);
    return leaf === undefined || removedNow.has(leaf);
  };
  if (!added.every((credential) => mayEnter(standing, credential) && free(credential)))
    throw new Refusal("commit_forbidden");
  if (new Set(added.map(({ device }) => device)).size !== added.length) throw new Refusal("commit_forbidden");
  return added.map(({ member, device }) => ({ member, device }));
}

/** A device that joins by itself (external commit): it may bring nobody, and take out its own old leaf only. */
function checkJoiner(standing: Standing, who: Who, joiner: Credential, { removed }: CommitFacts): readonly Who[] {
  const old = standing.leafOf.get(who.device);
  const itself = joiner.member === who.member && joiner.device === who.device;
  const leavesNothing = old === undefined ? removed.length === 0 : removed.length === 1 && removed[0] === old;
  if (!itself || !leavesNothing || !mayEnter(standing, joiner)) throw new Refusal("commit_forbidden");
  return [who];
}

function mayRemove(seat: Seat | null | undefined, who: Who): boolean {
  return seat != null && (seat.pending || seat.member === who.member);
}

function mayEnter(standing: Standing, credential: Credential): boolean {
  return credential.tenant === standing.tenant && belongs(standing, credential);
}

function belongs({ participants, expelled }: Standing, { member, device }: Who): boolean {
  return participants.has(member) && !expelled.has(device);
}

/** Welcomes go to the devices a commit adds, each once, and to nobody else. */
function checkWelcomes(joined: readonly Who[], welcomes: CommitFrame["welcomes"]): void {
  const waiting = new Map(joined.map(({ member, device }) => [device, member]));
  for (const { member, device } of welcomes.flatMap(({ devices }) => devices)) {
    if (waiting.get(device) !== member) throw new Refusal("commit_forbidden");
    waiting.delete(device);
  }
  if (waiting.size > 0) throw new Refusal("commit_forbidden");
}
