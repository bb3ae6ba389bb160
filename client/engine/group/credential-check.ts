// Owns who a leaf is and whether to believe it: credential, certificate, tenant, whether it is known, and the shape every leaf must have.

import type { AuthenticationService } from "ts-mls/authenticationService.js";
import type { Capabilities } from "ts-mls/capabilities.js";
import type { Credential as MlsCredential } from "ts-mls/credential.js";
import type { LeafNode } from "ts-mls/leafNode.js";
import type { RatchetTree } from "ts-mls/ratchetTree.js";
import { equalBytes } from "../../../schemas/bytes.ts";
import {
  type Credential,
  certificatePayload,
  decodeCredential,
  encodeCredential,
} from "../../../schemas/credential.ts";
import { verify } from "./device-keys.ts";
import { MAX_CAPABILITIES } from "./limits.ts";
import { SUITE } from "./provider.ts";
import type { Context, Device, Me, Peer } from "./state.ts";
import { isContributoryKey } from "./weak-keys.ts";

/** Extension type of RFC 9420 §17.3 that marks a key package as the last resort. */
export const LAST_RESORT = 0x000a;

/** What every leaf of Kuvert can do. */
export const CAPABILITIES: Capabilities = {
  versions: ["mls10"],
  ciphersuites: [SUITE],
  extensions: [LAST_RESORT],
  proposals: [],
  credentials: ["basic"],
};

/** Why a leaf is not believed. `untrusted`: nothing this device knows says that its member has such a device. */
export type LeafFault = "malformed" | "wrong_tenant" | "uncertified" | "untrusted";

// Credentials are immutable, so each is read and verified once however often the library asks
const read = new WeakMap<MlsCredential, Credential | null>();
const verified = new WeakMap<MlsCredential, { signatureKey: Uint8Array; answer: Promise<boolean> }>();

/** Own credential as MLS carries it. */
export function toMlsCredential(me: Me): MlsCredential {
  const { tenant, member, device } = me;
  const [identityKey, certificate] = [me.identityKey.slice(), me.certificate.slice()];
  const identity = encodeCredential({ v: 1, tenant, member, device, identityKey, certificate });
  return { credentialType: "basic", identity };
}

/** Reads a credential of Kuvert; `undefined` for any other. */
export function readCredential(credential: MlsCredential): Credential | undefined {
  let known = read.get(credential);
  if (known === undefined) {
    known = (credential.credentialType === "basic" ? decodeCredential(credential.identity) : undefined) ?? null;
    read.set(credential, known);
  }
  return known ?? undefined;
}

/** Whom a leaf names; call it only for leaves that passed {@link leafFault}, directly or by a trusted tree. */
export function deviceOf(leaf: LeafNode): Device | undefined {
  return readCredential(leaf.credential);
}

/** The device on a leaf index; `undefined` when the leaf is blank or outside of the tree. */
export function peerAt(tree: RatchetTree, leaf: number): Peer | undefined {
  const node = tree[leaf * 2];
  const credential = node?.nodeType === "leaf" ? readCredential(node.leaf.credential) : undefined;
  if (node?.nodeType !== "leaf" || credential === undefined) return undefined;
  const { member, device, identityKey } = credential;
  return { leaf, member, device, identityKey, signatureKey: node.leaf.signaturePublicKey };
}

/** All devices of a tree, by leaf index. */
export function peersOf(tree: RatchetTree): Peer[] {
  const peers: Peer[] = [];
  for (let leaf = 0; leaf * 2 < tree.length; leaf++) {
    const peer = peerAt(tree, leaf);
    if (peer !== undefined) peers.push(peer);
  }
  return peers;
}

/** Why this leaf must not enter a group; `undefined` when it may. */
export async function leafFault(leaf: LeafNode, context: Context): Promise<LeafFault | undefined> {
  if (!isWellFormedLeaf(leaf)) return "malformed";
  return credentialFault(leaf.credential, leaf.signaturePublicKey, context);
}

/** The library's question, answered by the same rules. */
export function authenticationService(context: Context): AuthenticationService {
  return {
    validateCredential: async (credential, signatureKey) =>
      (await credentialFault(credential, signatureKey, context)) === undefined,
  };
}

async function credentialFault(
  mlsCredential: MlsCredential,
  signatureKey: Uint8Array,
  { me, trust }: Context,
): Promise<LeafFault | undefined> {
  const credential = readCredential(mlsCredential);
  if (credential === undefined) return "malformed";
  if (credential.tenant !== me.tenant) return "wrong_tenant";
  if (!(await isCertified(mlsCredential, { credential, signatureKey }))) return "uncertified";
  const { member, device, identityKey } = credential;
  return trust({ member, device, identityKey, signatureKey }) ? undefined : "untrusted";
}

function isCertified(
  mlsCredential: MlsCredential,
  { credential, signatureKey }: { credential: Credential; signatureKey: Uint8Array },
): Promise<boolean> {
  const known = verified.get(mlsCredential);
  if (known !== undefined && equalBytes(known.signatureKey, signatureKey)) return known.answer;
  const { tenant, member, device, identityKey, certificate } = credential;
  const answer = verify(identityKey, certificatePayload({ tenant, member, device, signatureKey }), certificate);
  verified.set(mlsCredential, { signatureKey, answer });
  return answer;
}

/**
 * Whether a leaf has the shape that every leaf of Kuvert has, whoever it is. One that lacked a capability would block every later change
 * of the group; one with a weak HPKE key, every path to it.
 */
export function isWellFormedLeaf(leaf: LeafNode): boolean {
  const { capabilities, credential, extensions, hpkePublicKey, signaturePublicKey } = leaf;
  const lists = Object.values(capabilities) as unknown[][];
  return (
    readCredential(credential) !== undefined &&
    extensions.length === 0 &&
    lists.every((list) => list.length <= MAX_CAPABILITIES) &&
    capabilities.versions.includes("mls10") &&
    capabilities.ciphersuites.includes(SUITE) &&
    capabilities.credentials.includes("basic") &&
    signaturePublicKey.length === 32 &&
    isContributoryKey(hpkePublicKey)
  );
}
