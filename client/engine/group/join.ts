// Owns entering a group that others made: by Welcome, or by external commit with the GroupInfo the server keeps. All of it is checked here.

import { joinGroup } from "ts-mls/clientState.js";
import { joinGroupExternal } from "ts-mls/createCommit.js";
import { type GroupInfo, ratchetTreeFromExtension } from "ts-mls/groupInfo.js";
import { emptyPskIndex } from "ts-mls/pskIndex.js";
import type { RatchetTree } from "ts-mls/ratchetTree.js";
import { decryptGroupInfo, decryptGroupSecrets, type Welcome } from "ts-mls/welcome.js";
import { equalBytes, fromBase64url, toBase64url } from "../../../schemas/bytes.ts";
import { type ConversationId, readGroupId } from "../../../schemas/ids.ts";
import { type Committed, fly } from "./commit.ts";
import { leafFault, peerAt, peersOf } from "./credential-check.ts";
import { idOf, replace } from "./epochs.ts";
import { readMessage, writeMessage } from "./frame.ts";
import { emptyGroup } from "./group.ts";
import { generateOwn, type OpenedKeyPackage, openKeyPackage, refOf } from "./key-packages.ts";
import { configFor, fromLibrary } from "./library.ts";
import { MAX_BYTES, MAX_LEAVES } from "./limits.ts";
import { SUITE, suite } from "./provider.ts";
import { type Change, type Context, type Group, type Peer, type Step, sameDevice, toDevice } from "./state.ts";
import { isPlausibleGroupInfo, isSoundTree } from "./tree-check.ts";

/** Entered by Welcome. The private record of `ref` is to be deleted in the same transaction, unless `lastResort`. */
export interface Joined extends Step {
  readonly kind: "joined";
  /** Who made the Welcome: by an honest server, who added this device. */
  readonly by: Peer;
  readonly ref: string;
  readonly lastResort: boolean;
}

/** Not entered. `stale`: the group is no newer than what this device had already, so the Welcome is a replay. */
export interface JoinRefused {
  readonly kind: "refused";
  readonly reason: "malformed" | "not_for_us" | "other_group" | "stale" | "invalid" | "untrusted" | "forbidden_change";
}

/** The key packages (KeyPackageRef as base64url) that a Welcome is for; `undefined` when it is malformed. */
export function welcomeRefs(welcome: Uint8Array): string[] | undefined {
  return readWelcome(welcome)?.secrets.map(({ newMember }) => toBase64url(newMember));
}

/**
 * Enters a conversation by Welcome with the private record of one of {@link welcomeRefs}. `known` is the group as this device has it, if
 * it has been in it before: this generation of it or an earlier one. Without `generation` any that is not older will do.
 */
export async function join(order: {
  welcome: Uint8Array;
  keyPackage: Uint8Array;
  context: Context;
  conversation: ConversationId;
  generation?: number;
  known?: Group | undefined;
}): Promise<Joined | JoinRefused> {
  const { context } = order;
  const welcome = readWelcome(order.welcome);
  if (welcome === undefined) return refused("malformed");
  const own = openKeyPackage(order.keyPackage, context.me);
  const ref = own === undefined ? undefined : await refOf(own.keyPackage);
  if (own === undefined || ref === undefined || !isFor(welcome, ref)) return refused("not_for_us");
  let tree: RatchetTree = [];
  try {
    const info = await openGroupInfo(welcome, { own, ref });
    if (info === undefined || !isPlausibleGroupInfo(info)) return refused("malformed");
    const group = groupFor(info, order);
    if ("reason" in group) return group;
    tree = ratchetTreeFromExtension(info) ?? [];
    const by = peerAt(tree, info.signer);
    if (by === undefined || !isSoundTree(tree)) return refused("invalid");
    const cs = await suite();
    const config = configFor(context);
    const { keyPackage, privateKeys } = own;
    const state = await joinGroup(welcome, keyPackage, privateKeys, emptyPskIndex, cs, undefined, undefined, config);
    return { kind: "joined", ...replace(group, fromLibrary(state)), by, ref, lastResort: own.lastResort };
  } catch {
    return disbelief(tree, context);
  }
}

/**
 * Prepares an external commit by which this device lets itself in, replacing its own old leaf if the tree still has one. Like a commit it
 * changes nothing until it comes back; then it replaces all that `known` held. `now` in ms.
 */
export async function joinExternally(order: {
  groupInfo: Uint8Array;
  context: Context;
  conversation: ConversationId;
  generation: number;
  known?: Group | undefined;
  now: number;
}): Promise<Committed | JoinRefused> {
  const { context, now } = order;
  const message = readMessage(order.groupInfo, { format: "mls_group_info", limit: MAX_BYTES.groupInfo });
  if (message === undefined || !isPlausibleGroupInfo(message.groupInfo)) return refused("malformed");
  const info = message.groupInfo;
  let tree: RatchetTree = [];
  try {
    if (!equalBytes(info.groupContext.groupId, idOf(order))) return refused("other_group");
    const epoch = Number(info.groupContext.epoch);
    const group: Group = { ...(order.known ?? emptyGroup(order)), context };
    if (epoch < lastEpoch(group)) return refused("stale");
    tree = ratchetTreeFromExtension(info) ?? [];
    if (!isSoundTree(tree)) return refused("invalid");
    const me = toDevice(context.me);
    const removed = peersOf(tree).filter((peer) => sameDevice(peer, me));
    const change: Change = { by: me, added: [me], removed: removed.map(toDevice), external: true };
    if (!context.mayChange(change)) return refused("forbidden_change");
    const { publicPackage, privatePackage } = await generateOwn(context.me, { lastResort: false, now });
    const { publicMessage, newState } = await joinGroupExternal(
      info,
      publicPackage,
      privatePackage,
      removed.length > 0,
      await suite(),
      undefined,
      configFor(context),
    );
    const commit = writeMessage({ wireformat: "mls_public_message", publicMessage });
    return await fly(group, { commit, state: newState, change, welcome: undefined, epoch });
  } catch {
    return disbelief(tree, context);
  }
}

function readWelcome(bytes: Uint8Array): Welcome | undefined {
  const welcome = readMessage(bytes, { format: "mls_welcome", limit: MAX_BYTES.welcome })?.welcome;
  return welcome !== undefined && welcome.cipherSuite === SUITE && welcome.secrets.length <= MAX_LEAVES
    ? welcome
    : undefined;
}

function isFor(welcome: Welcome, ref: string): boolean {
  return welcome.secrets.some(({ newMember }) => toBase64url(newMember) === ref);
}

/** Looks into the Welcome before the library works on it, which would take a tree of any size. */
async function openGroupInfo(
  welcome: Welcome,
  { own, ref }: { own: OpenedKeyPackage; ref: string },
): Promise<GroupInfo | undefined> {
  const cs = await suite();
  const initKey = await cs.hpke.importPrivateKey(own.privateKeys.initPrivateKey);
  const refBytes = fromBase64url(ref) ?? new Uint8Array();
  const secrets = await decryptGroupSecrets(initKey, refBytes, welcome, cs.hpke);
  if (secrets === undefined || secrets.psks.length > 0) return undefined;
  const info = await decryptGroupInfo(welcome, secrets.joinerSecret, new Uint8Array(cs.kdf.size), cs);
  secrets.joinerSecret.fill(0);
  return info;
}

/** The group to fill; refused when it is another conversation's or older than what this device knows. */
function groupFor(
  info: GroupInfo,
  order: { context: Context; conversation: ConversationId; generation?: number; known?: Group | undefined },
): Group | JoinRefused {
  const id = readGroupId(info.groupContext.groupId);
  if (id === undefined || id.conversation !== order.conversation) return refused("other_group");
  if (order.generation !== undefined && id.generation !== order.generation) return refused("other_group");
  const { known } = order;
  if (known !== undefined && known.conversation !== id.conversation) return refused("other_group");
  if (known === undefined || known.generation < id.generation) return emptyGroup({ ...id, context: order.context });
  if (known.generation > id.generation) return refused("stale");
  const isStale =
    Number(info.groupContext.epoch) <= (known.live?.number ?? -1) ||
    Number(info.groupContext.epoch) < (known.ended ?? 0);
  return isStale ? refused("stale") : { ...known, context: order.context };
}

/** Why the library would not enter: because of somebody whom this device does not trust, which people must look at, or otherwise. */
async function disbelief(tree: RatchetTree, context: Context): Promise<JoinRefused> {
  const leaves = tree.flatMap((node) => (node?.nodeType === "leaf" ? [node.leaf] : []));
  const faults = await Promise.all(leaves.map((leaf) => leafFault(leaf, context)));
  return refused(faults.includes("untrusted") ? "untrusted" : "invalid");
}

function lastEpoch(group: Group): number {
  return group.live?.number ?? group.ended ?? 0;
}

function refused(reason: JoinRefused["reason"]): JoinRefused {
  return { kind: "refused", reason };
}
