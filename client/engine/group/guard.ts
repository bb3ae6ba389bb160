// Owns what a commit may do, decided on its public content before the library sees it. Verifies no signature of the commit itself.

import type { Commit } from "ts-mls/commit.js";
import type { KeyPackage } from "ts-mls/keyPackage.js";
import type { LeafNode } from "ts-mls/leafNode.js";
import type { Proposal } from "ts-mls/proposal.js";
import type { PublicMessage } from "ts-mls/publicMessage.js";
import type { RatchetTree } from "ts-mls/ratchetTree.js";
import { equalBytes } from "../../../schemas/bytes.ts";
import { deviceOf, type LeafFault, leafFault, peerAt, peersOf } from "./credential-check.ts";
import { type KeyPackageFault, keyPackageFault } from "./key-packages.ts";
import { MAX_LEAVES } from "./limits.ts";
import { type Change, type Context, type Live, type Peer, sameDevice, toDevice } from "./state.ts";

/** Why a commit is refused before cryptography. */
export type CommitFault = KeyPackageFault | "wrong_sender" | "forbidden_proposal" | "forbidden_change";

const MAX_PATH = Math.ceil(Math.log2(MAX_LEAVES));

export type Verdict = { readonly change: Change } | { readonly fault: CommitFault };

interface Proposals {
  readonly added: readonly KeyPackage[];
  readonly removed: readonly number[];
  readonly externalInits: number;
}

/**
 * What a commit of the live epoch would change, or why it may not. `at` is the server's time of acceptance (ms), the same on every device,
 * so that all agree on whether a key package was alive.
 */
export async function judge(
  message: PublicMessage,
  { live, context, at }: { live: Live; context: Context; at: number },
): Promise<Verdict> {
  const { content } = message;
  if (content.contentType !== "commit" || content.authenticatedData.length > 0) return { fault: "malformed" };
  if ((content.commit.path?.nodes.length ?? 0) > MAX_PATH) return { fault: "malformed" };
  const proposals = readProposals(content.commit);
  if (proposals === undefined) return { fault: "forbidden_proposal" };
  if (content.sender.senderType === "member") {
    const sender = peerAt(live.tree, content.sender.leafIndex);
    return judgeMember({ sender, commit: content.commit, proposals }, { live, context, at });
  }
  if (content.sender.senderType !== "new_member_commit") return { fault: "wrong_sender" };
  return judgeExternal({ commit: content.commit, proposals }, { live, context });
}

async function judgeMember(
  { sender, commit, proposals }: { sender: Peer | undefined; commit: Commit; proposals: Proposals },
  { live, context, at }: { live: Live; context: Context; at: number },
): Promise<Verdict> {
  if (sender === undefined) return { fault: "wrong_sender" };
  if (proposals.externalInits > 0) return { fault: "forbidden_proposal" };
  if (commit.path !== undefined && !isSuccessor(commit.path.leafNode, leafAt(live.tree, sender.leaf))) {
    return { fault: "malformed" };
  }
  const removed = resolveRemoved(live.tree, proposals.removed);
  if (removed === undefined || removed.some((peer) => peer.leaf === sender.leaf)) return { fault: "forbidden_change" };
  const faults = await Promise.all(proposals.added.map((added) => keyPackageFault(added, { context, at })));
  const fault = faults.find((found) => found !== undefined);
  if (fault !== undefined) return { fault };
  const added = proposals.added.flatMap(({ leafNode }) => deviceOf(leafNode) ?? []);
  if (peersOf(live.tree).length - removed.length + added.length > MAX_LEAVES) return { fault: "forbidden_change" };
  return allowed({ by: sender, added, removed, external: false }, context);
}

/** A device lets itself in (RFC 9420 §12.4.3.2): it may take nobody's place but its own, and must take that if it has one. */
async function judgeExternal(
  { commit, proposals }: { commit: Commit; proposals: Proposals },
  { live, context }: { live: Live; context: Context },
): Promise<Verdict> {
  if (proposals.externalInits !== 1 || proposals.added.length > 0) return { fault: "forbidden_proposal" };
  const leaf = commit.path?.leafNode;
  if (leaf === undefined) return { fault: "malformed" };
  const fault: LeafFault | undefined = await leafFault(leaf, context);
  const joiner = deviceOf(leaf);
  if (fault !== undefined || joiner === undefined) return { fault: fault ?? "malformed" };
  const own = peersOf(live.tree).filter((peer) => sameDevice(peer, joiner));
  const removed = resolveRemoved(live.tree, proposals.removed);
  if (removed === undefined || removed.length !== own.length || !removed.every((peer) => sameDevice(peer, joiner))) {
    return { fault: "forbidden_change" };
  }
  return allowed({ by: joiner, added: [joiner], removed, external: true }, context);
}

function allowed({ by, added, removed, external }: Change, { mayChange }: Context): Verdict {
  const change: Change = {
    by: toDevice(by),
    added: added.map(toDevice),
    removed: removed.map(toDevice),
    external,
  };
  return mayChange(change) ? { change } : { fault: "forbidden_change" };
}

/** Adds, removes and external inits, each by value; `undefined` when there is anything else, or more than a tree can hold. */
function readProposals(commit: Commit): Proposals | undefined {
  if (commit.proposals.length > 2 * MAX_LEAVES) return undefined;
  const added: KeyPackage[] = [];
  const removed: number[] = [];
  let externalInits = 0;
  for (const entry of commit.proposals) {
    const proposal: Proposal | undefined = entry.proposalOrRefType === "proposal" ? entry.proposal : undefined;
    if (proposal?.proposalType === "add") added.push(proposal.add.keyPackage);
    else if (proposal?.proposalType === "remove") removed.push(proposal.remove.removed);
    else if (proposal?.proposalType === "external_init") externalInits++;
    else return undefined;
  }
  return { added, removed, externalInits };
}

/** The devices on the removed leaves; `undefined` when a leaf is blank, outside of the tree or named twice. */
function resolveRemoved(tree: RatchetTree, leaves: readonly number[]): Peer[] | undefined {
  const peers = leaves.flatMap((leaf) => peerAt(tree, leaf) ?? []);
  return peers.length === leaves.length && new Set(leaves).size === leaves.length ? peers : undefined;
}

function leafAt(tree: RatchetTree, leaf: number): LeafNode | undefined {
  const node = tree[leaf * 2];
  return node?.nodeType === "leaf" ? node.leaf : undefined;
}

/** A committer renews its HPKE key and nothing else: who it is and what it can do stay as they were certified and admitted. */
function isSuccessor(next: LeafNode, current: LeafNode | undefined): boolean {
  if (current?.credential.credentialType !== "basic" || next.credential.credentialType !== "basic") return false;
  return (
    next.extensions.length === 0 &&
    equalBytes(next.credential.identity, current.credential.identity) &&
    equalBytes(next.signaturePublicKey, current.signaturePublicKey) &&
    JSON.stringify(next.capabilities) === JSON.stringify(current.capabilities)
  );
}
