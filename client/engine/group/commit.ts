// Owns making a commit of our own and what becomes of it: in flight until it comes back in order, or dropped. Sends nothing.

import type { ClientState } from "ts-mls/clientState.js";
import { createCommit, createGroupInfoWithExternalPubAndRatchetTree } from "ts-mls/createCommit.js";
import type { KeyPackage } from "ts-mls/keyPackage.js";
import type { Proposal } from "ts-mls/proposal.js";
import type { Welcome } from "ts-mls/welcome.js";
import type { DeviceId, MemberId } from "../../../schemas/ids.ts";
import { deviceOf, peerAt, peersOf } from "./credential-check.ts";
import { advance, replace, withPending } from "./epochs.ts";
import { writeMessage } from "./frame.ts";
import { isSigned, type KeyPackageFault, keyPackageFault, readKeyPackage } from "./key-packages.ts";
import { fromLibrary, toLibrary } from "./library.ts";
import { MAX_LEAVES } from "./limits.ts";
import { suite } from "./provider.ts";
import { type Change, type Context, type Group, type Live, type Step, sameDevice, toDevice } from "./state.ts";
import { isSoundTree } from "./tree-check.ts";

/** A device to add, with the key package that the server handed out for it: the two must agree. */
export interface Addition {
  readonly member: MemberId;
  readonly device: DeviceId;
  readonly keyPackage: Uint8Array;
}

/** What travels as one to the server. The one Welcome serves all `devices`. */
export interface Bundle {
  readonly commit: Uint8Array;
  readonly welcome: {
    readonly bytes: Uint8Array;
    readonly devices: readonly { readonly member: MemberId; readonly device: DeviceId }[];
  } | null;
  readonly groupInfo: Uint8Array;
}

/** A commit in flight: `epoch` is the one it ends, `change` what it does once confirmed. */
export interface Committed extends Step {
  readonly kind: "committed";
  readonly bundle: Bundle;
  readonly epoch: number;
  readonly change: Change;
}

/** Why no commit was made. `device` names whose key package is to blame, if one is. */
export interface CommitRefused {
  readonly kind: "refused";
  readonly reason:
    | "not_in_group"
    | "pending"
    | "no_such_leaf"
    | "already_in"
    | "full"
    | "forbidden_change"
    | KeyPackageFault
    | "wrong_device";
  readonly device?: { readonly member: MemberId; readonly device: DeviceId };
}

/** An own commit that took effect. */
export interface Confirmed extends Step {
  readonly change: Change;
  readonly epoch: number;
}

interface Plan {
  readonly added: readonly KeyPackage[];
  readonly removed: readonly number[];
  readonly change: Change;
}

/** Makes a commit that adds, removes, or with neither renews the own keys. It changes nothing until {@link confirmPending}. `now` in ms. */
export async function commit(
  group: Group,
  order: { add?: readonly Addition[]; remove?: readonly number[]; now: number },
): Promise<Committed | CommitRefused> {
  const { live, context } = group;
  if (live === null) return { kind: "refused", reason: "not_in_group" };
  if (group.pending !== null) return { kind: "refused", reason: "pending" };
  const planned = await plan(live, { context, add: order.add ?? [], remove: order.remove ?? [], now: order.now });
  if ("kind" in planned) return planned;
  return make(group, { live, plan: planned });
}

async function make(group: Group, order: { live: Live; plan: Plan }): Promise<Committed | CommitRefused> {
  const { live, plan } = order;
  const context = { state: toLibrary(live, group.context), cipherSuite: await suite() };
  const options = { wireAsPublicMessage: true, ratchetTreeExtension: true, extraProposals: proposalsOf(plan) };
  try {
    // `consumed` holds secrets of the live epoch, which stay in use until this commit is confirmed: they are spent with that epoch
    const { commit, newState: state, welcome } = await createCommit(context, options);
    if (!isSoundTree(state.ratchetTree)) return { kind: "refused", reason: "malformed" };
    return await fly(group, { commit: writeMessage(commit), state, change: plan.change, welcome, epoch: live.number });
  } catch (error) {
    // Only a key package whose signature does not hold can make the library refuse what was planned
    const unsigned = await findUnsigned(plan);
    if (unsigned === undefined) throw error;
    return unsigned;
  }
}

/** The own commit came back in order: its epoch becomes the live one. Throws when there is none in flight. */
export function confirmPending(group: Group): Confirmed {
  const { pending } = group;
  if (pending === null) throw new Error("no commit in flight");
  const continues = group.live !== null && !pending.change.external;
  const step = continues ? advance(group, pending.next) : replace(group, pending.next);
  return { ...step, change: pending.change, epoch: pending.next.number };
}

/** Gives up the commit in flight, if any; the live epoch goes on as if it had never been made. */
export function dropPending(group: Group): Step {
  return group.pending === null ? { group, writes: [], spent: [] } : withPending(group, null);
}

/** Takes a finished commit into flight with the bundle that the server wants. */
export async function fly(
  group: Group,
  made: { commit: Uint8Array; state: ClientState; change: Change; welcome: Welcome | undefined; epoch: number },
): Promise<Committed> {
  const cs = await suite();
  const groupInfo = await createGroupInfoWithExternalPubAndRatchetTree(made.state, [], cs);
  const pending = { digest: await cs.hash.digest(made.commit), change: made.change, next: fromLibrary(made.state) };
  const { welcome, change, epoch } = made;
  return {
    kind: "committed",
    ...withPending(group, pending),
    bundle: {
      commit: made.commit,
      welcome: welcome === undefined ? null : welcomeFor(welcome, change),
      groupInfo: writeMessage({ wireformat: "mls_group_info", groupInfo }),
    },
    epoch,
    change,
  };
}

function welcomeFor(welcome: Welcome, change: Change): Bundle["welcome"] {
  const devices = change.added.map(({ member, device }) => ({ member, device }));
  return { bytes: writeMessage({ wireformat: "mls_welcome", welcome }), devices };
}

async function plan(
  live: Live,
  order: { context: Context; add: readonly Addition[]; remove: readonly number[]; now: number },
): Promise<Plan | CommitRefused> {
  const { context, remove } = order;
  const removed = [...new Set(remove)].flatMap((leaf) => peerAt(live.tree, leaf) ?? []);
  if (removed.length !== remove.length || removed.some(({ leaf }) => leaf === live.privatePath.leafIndex)) {
    return { kind: "refused", reason: "no_such_leaf" };
  }
  const staying = peersOf(live.tree).filter((peer) => !remove.includes(peer.leaf));
  if (staying.length + order.add.length > MAX_LEAVES) return { kind: "refused", reason: "full" };
  const added: KeyPackage[] = [];
  for (const addition of order.add) {
    const accepted = await accept(addition, order);
    if ("reason" in accepted) return accepted;
    const twice = [...staying, ...added.flatMap(({ leafNode }) => deviceOf(leafNode) ?? [])];
    if (twice.some((device) => sameDevice(device, addition))) return refusal("already_in", addition);
    added.push(accepted);
  }
  const change: Change = {
    by: toDevice(context.me),
    added: added.flatMap(({ leafNode }) => deviceOf(leafNode) ?? []).map(toDevice),
    removed: removed.map(toDevice),
    external: false,
  };
  if (!context.mayChange(change)) return { kind: "refused", reason: "forbidden_change" };
  return { added, removed: removed.map(({ leaf }) => leaf), change };
}

async function accept(
  addition: Addition,
  { context, now }: { context: Context; now: number },
): Promise<KeyPackage | CommitRefused> {
  const keyPackage = readKeyPackage(addition.keyPackage);
  if (keyPackage === undefined) return refusal("malformed", addition);
  const fault = await keyPackageFault(keyPackage, { context, at: now });
  if (fault !== undefined) return refusal(fault, addition);
  const named = deviceOf(keyPackage.leafNode);
  if (named === undefined || !sameDevice(named, addition)) return refusal("wrong_device", addition);
  return keyPackage;
}

async function findUnsigned({ added }: Plan): Promise<CommitRefused | undefined> {
  for (const keyPackage of added) {
    const device = deviceOf(keyPackage.leafNode);
    if (device !== undefined && !(await isSigned(keyPackage))) return refusal("malformed", device);
  }
  return undefined;
}

function refusal(
  reason: CommitRefused["reason"],
  { member, device }: Pick<Addition, "member" | "device">,
): CommitRefused {
  return { kind: "refused", reason, device: { member, device } };
}

function proposalsOf({ added, removed }: Plan): Proposal[] {
  return [
    ...removed.map((leaf): Proposal => ({ proposalType: "remove", remove: { removed: leaf } })),
    ...added.map((keyPackage): Proposal => ({ proposalType: "add", add: { keyPackage } })),
  ];
}
