// Owns the two-way street between our state and the MLS library's: how it is configured, what it is given, what is kept of its answer.

import type { ClientConfig } from "ts-mls/clientConfig.js";
import type { ClientState } from "ts-mls/clientState.js";
import type { KeyRetentionConfig } from "ts-mls/keyRetentionConfig.js";
import type { LeafNode } from "ts-mls/leafNode.js";
import type { PrivateKeyPath } from "ts-mls/privateKeyPath.js";
import type { RatchetTree } from "ts-mls/ratchetTree.js";
import type { GenerationSecret, SecretTree } from "ts-mls/secretTree.js";
import { authenticationService, deviceOf } from "./credential-check.ts";
import { MAX_GENERATION, OUT_OF_ORDER } from "./limits.ts";
import { type Context, epochNumber, type Live, sameDevice } from "./state.ts";

export const RETENTION: KeyRetentionConfig = {
  retainKeysForGenerations: OUT_OF_ORDER,
  maximumForwardRatchetSteps: MAX_GENERATION,
  retainKeysForEpochs: 1, // ignored: past epochs are ours to keep
};

/** The library's configuration for one operation. */
export function configFor(context: Context): ClientConfig {
  return {
    keyRetentionConfig: RETENTION,
    lifetimeConfig: { maximumTotalLifetime: 0n, validateLifetimeOnReceive: false }, // the guard checks lifetimes, at the server's time
    keyPackageEqualityConfig: {
      compareKeyPackages: (a, b) => sameLeaf(a.leafNode, b.leafNode),
      compareKeyPackageToLeafNode: (a, b) => sameLeaf(a.leafNode, b),
    },
    paddingConfig: { kind: "alwaysPad", paddingLength: 0 }, // commits are public and never padded
    authService: authenticationService(context),
  };
}

/** The live epoch as the library wants it. */
export function toLibrary(live: Live, context: Context): ClientState {
  return {
    groupContext: live.context,
    keySchedule: live.keySchedule,
    secretTree: live.ratchets,
    ratchetTree: live.tree,
    privatePath: live.privatePath,
    signaturePrivateKey: context.me.signatureKey.privateKey,
    unappliedProposals: {},
    confirmationTag: live.confirmationTag,
    historicalReceiverData: new Map(),
    groupActiveState: { kind: "active" },
    // Certificates are checked again, trust is not: the guard asked for every leaf that enters, and one that is in stays in until removed
    clientConfig: configFor({ ...context, trust: () => true }),
  };
}

/** A fresh epoch out of the library, reduced to what is ever used: secrets of blank leaves, inner nodes and private handshakes go. */
export function fromLibrary(state: ClientState): Live {
  return {
    number: epochNumber(state.groupContext.epoch),
    context: state.groupContext,
    tree: state.ratchetTree,
    senderDataSecret: state.keySchedule.senderDataSecret,
    ratchets: leafRatchets(state.secretTree, state.ratchetTree),
    keySchedule: state.keySchedule,
    privatePath: pruned(state.privatePath, state.ratchetTree),
    confirmationTag: state.confirmationTag,
  };
}

/** A slot of the sparse ratchet array: applications only, since all our handshakes are public. */
export function slot(application: GenerationSecret): SecretTree[number] {
  return { application, handshake: { secret: new Uint8Array(), generation: 0, unusedGenerations: {} } };
}

function leafRatchets(secrets: SecretTree, tree: RatchetTree): SecretTree {
  const kept: SecretTree = new Array(tree.length);
  for (const [index, secret] of secrets.entries()) {
    secret.handshake.secret.fill(0);
    if (index % 2 === 0 && tree[index] !== undefined) kept[index] = slot(secret.application);
    else secret.application.secret.fill(0);
  }
  return kept;
}

/** Private keys of nodes that have since been blanked open nothing any more and are dropped. */
function pruned(path: PrivateKeyPath, tree: RatchetTree): PrivateKeyPath {
  const keys = Object.entries(path.privateKeys).filter(([index]) => tree[Number(index)] !== undefined);
  return { leafIndex: path.leafIndex, privateKeys: Object.fromEntries(keys) };
}

function sameLeaf(a: LeafNode, b: LeafNode): boolean {
  const [left, right] = [deviceOf(a), deviceOf(b)];
  return left !== undefined && right !== undefined && sameDevice(left, right);
}
