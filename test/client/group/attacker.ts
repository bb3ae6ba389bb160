// Owns what somebody with the bare MLS library, and no scruples, can make: forged Welcomes, commits and external commits.

import { applyProposals, type ClientState, nextEpochContext } from "ts-mls/clientState.js";
import { encode } from "ts-mls/codec/tlsEncoder.js";
import { varLenDataEncoder } from "ts-mls/codec/variableLength.js";
import type { Commit } from "ts-mls/commit.js";
import { createCommit, joinGroupExternal } from "ts-mls/createCommit.js";
import { createApplicationMessage } from "ts-mls/createMessage.js";
import type { Extension } from "ts-mls/extension.js";
import { createConfirmationTag, createContentCommitSignature } from "ts-mls/framedContent.js";
import type { GroupContext } from "ts-mls/groupContext.js";
import { extractWelcomeSecret, signGroupInfo } from "ts-mls/groupInfo.js";
import type { KeyPackage } from "ts-mls/keyPackage.js";
import { makeKeyPackageRef, signKeyPackage } from "ts-mls/keyPackage.js";
import { deriveKeySchedule, initializeEpoch } from "ts-mls/keySchedule.js";
import { type LeafNodeKeyPackage, type LeafNodeTBSKeyPackage, signLeafNodeKeyPackage } from "ts-mls/leafNode.js";
import { decodeMlsMessage, encodeMlsMessage } from "ts-mls/message.js";
import { protectPublicMessage } from "ts-mls/messageProtectionPublic.js";
import { encryptSenderData } from "ts-mls/privateMessage.js";
import type { Proposal } from "ts-mls/proposal.js";
import { emptyPskIndex } from "ts-mls/pskIndex.js";
import { encodeRatchetTree, type RatchetTree } from "ts-mls/ratchetTree.js";
import { treeHashRoot } from "ts-mls/treeHash.js";
import { encryptGroupInfo, encryptGroupSecrets } from "ts-mls/welcome.js";
import { generateOwn, readKeyPackage } from "../../../client/engine/group/key-packages.ts";
import { configFor, toLibrary } from "../../../client/engine/group/library.ts";
import { SUITE, suite } from "../../../client/engine/group/provider.ts";
import type { Context, Group, Me } from "../../../client/engine/group/state.ts";
import { concat, randomBytes, utf8 } from "../../../schemas/bytes.ts";
import { type ConversationId, groupId } from "../../../schemas/ids.ts";
import { NOW } from "./people.ts";

/** A length-prefixed vector of RFC 9420 §2.1.2. */
export const vector = encode(varLenDataEncoder);

/** A key package in the library's form. */
export function decoded(publicBytes: Uint8Array): KeyPackage {
  const keyPackage = readKeyPackage(publicBytes);
  if (keyPackage === undefined) throw new Error("no key package");
  return keyPackage;
}

export interface Forgery {
  readonly attacker: Me;
  readonly victim: KeyPackage;
  readonly conversation: ConversationId;
  readonly epoch?: bigint;
  /** Changes the honest tree of attacker (leaf 0) and victim (leaf 1). */
  readonly tree?: (honest: RatchetTree) => RatchetTree;
  /** Replaces the encoded tree, its length prefix included. */
  readonly treeBytes?: Uint8Array;
  readonly extensions?: readonly Extension[];
  readonly contextExtensions?: Extension[];
}

/** A Welcome of a group that exists in the attacker's imagination only; without options it is flawless. */
export async function forgeWelcome(forgery: Forgery): Promise<Uint8Array> {
  const cs = await suite();
  const joinerSecret = randomBytes(32);
  const zeroes = new Uint8Array(32);
  const { groupContext, tree } = await imagine(forgery);
  const [keySchedule] = await deriveKeySchedule(joinerSecret, zeroes, groupContext, cs.kdf);
  const confirmationTag = await createConfirmationTag(
    keySchedule.confirmationKey,
    groupContext.confirmedTranscriptHash,
    cs.hash,
  );
  const ratchetTree: Extension = {
    extensionType: "ratchet_tree",
    extensionData: forgery.treeBytes ?? encodeRatchetTree(tree),
  };
  const groupInfo = await signGroupInfo(
    { groupContext, extensions: [ratchetTree, ...(forgery.extensions ?? [])], confirmationTag, signer: 0 },
    forgery.attacker.signatureKey.privateKey,
    cs.signature,
  );
  const welcomeSecret = await extractWelcomeSecret(joinerSecret, zeroes, cs.kdf);
  const encryptedGroupInfo = await encryptGroupInfo(groupInfo, welcomeSecret, cs);
  const initKey = await cs.hpke.importPublicKey(forgery.victim.initKey);
  const plain = { joinerSecret, pathSecret: undefined, psks: [] };
  const { enc, ct } = await encryptGroupSecrets(initKey, encryptedGroupInfo, plain, cs.hpke);
  const newMember = await makeKeyPackageRef(forgery.victim, cs.hash);
  const secrets = [{ newMember, encryptedGroupSecrets: { kemOutput: enc, ciphertext: ct } }];
  return encodeMlsMessage({
    version: "mls10",
    wireformat: "mls_welcome",
    welcome: { cipherSuite: SUITE, secrets, encryptedGroupInfo },
  });
}

async function imagine(forgery: Forgery): Promise<{ groupContext: GroupContext; tree: RatchetTree }> {
  const { publicPackage } = await generateOwn(forgery.attacker, { lastResort: false, now: NOW });
  const honest: RatchetTree = [
    { nodeType: "leaf", leaf: publicPackage.leafNode },
    undefined,
    { nodeType: "leaf", leaf: forgery.victim.leafNode },
  ];
  const tree = forgery.tree?.(honest) ?? honest;
  const treeHash = forgery.treeBytes === undefined ? await treeHashRoot(tree, (await suite()).hash) : randomBytes(32);
  const groupContext: GroupContext = {
    version: "mls10",
    cipherSuite: SUITE,
    groupId: groupId(forgery.conversation, 0),
    epoch: forgery.epoch ?? 1n,
    treeHash,
    confirmedTranscriptHash: randomBytes(32),
    extensions: forgery.contextExtensions ?? [],
  };
  return { groupContext, tree };
}

/** The library's state of a group with every check of ours switched off. */
export function unguarded(group: Group): ClientState {
  if (group.live === null) throw new Error("not in the group");
  const state = toLibrary(group.live, group.context);
  const handshake = { secret: randomBytes(32), generation: 0, unusedGenerations: {} };
  const secretTree = state.secretTree.map(({ application }) => ({ application, handshake }));
  return { ...state, secretTree, clientConfig: unguardedConfig(group.context) };
}

function unguardedConfig(context: Context) {
  return {
    ...configFor(context),
    authService: { validateCredential: async () => true },
    keyPackageEqualityConfig: { compareKeyPackages: () => false, compareKeyPackageToLeafNode: () => false },
  };
}

/** A commit with any proposals; `edit` may change what the library believes before it signs. */
export async function forgeCommit(
  group: Group,
  forgery: { proposals?: Proposal[]; edit?: (state: ClientState) => ClientState; authenticatedData?: Uint8Array } = {},
): Promise<Uint8Array> {
  const { proposals = [], edit = (state) => state, authenticatedData = new Uint8Array() } = forgery;
  const { commit } = await createCommit(
    { state: edit(unguarded(group)), cipherSuite: await suite() },
    { wireAsPublicMessage: true, extraProposals: proposals, authenticatedData },
  );
  return encodeMlsMessage(commit);
}

/** An external commit by `me` that removes the leaf `replaces` picks, if it picks one. */
export async function forgeExternal(
  groupInfo: Uint8Array,
  { context, replaces }: { context: Context; replaces?: (signatureKey: Uint8Array) => boolean },
): Promise<Uint8Array> {
  const message = decodeMlsMessage(groupInfo, 0)?.[0];
  if (message?.wireformat !== "mls_group_info") throw new Error("no group info");
  const { publicPackage, privatePackage } = await generateOwn(context.me, { lastResort: false, now: NOW });
  const config = {
    ...unguardedConfig(context),
    keyPackageEqualityConfig: {
      compareKeyPackages: () => false,
      compareKeyPackageToLeafNode: (_: KeyPackage, leaf: { signaturePublicKey: Uint8Array }) =>
        replaces?.(leaf.signaturePublicKey) ?? false,
    },
  };
  const { publicMessage } = await joinGroupExternal(
    message.groupInfo,
    publicPackage,
    privatePackage,
    replaces !== undefined,
    await suite(),
    undefined,
    config,
  );
  return encodeMlsMessage({ version: "mls10", wireformat: "mls_public_message", publicMessage });
}

/** A message with authenticated data beside it, which Kuvert never sends. */
export async function forgeMessage(group: Group, authenticatedData: Uint8Array): Promise<Uint8Array> {
  const state = unguarded(group);
  const { privateMessage } = await createApplicationMessage(state, utf8("x"), await suite(), authenticatedData);
  return encodeMlsMessage({ version: "mls10", wireformat: "mls_private_message", privateMessage });
}

/** A key package with an edited leaf and lifetime, signed again by its device. */
export async function resignedKeyPackage(
  me: Me,
  edit: (leaf: LeafNodeKeyPackage) => LeafNodeKeyPackage,
): Promise<Uint8Array> {
  const { publicPackage } = await generateOwn(me, { lastResort: false, now: NOW });
  const { signature } = await suite();
  const key = me.signatureKey.privateKey;
  const edited = edit(publicPackage.leafNode as LeafNodeKeyPackage);
  const leafNode = await signLeafNodeKeyPackage(edited as LeafNodeTBSKeyPackage, key, signature);
  const keyPackage = await signKeyPackage({ ...publicPackage, leafNode }, key, signature);
  return encodeMlsMessage({ version: "mls10", wireformat: "mls_key_package", keyPackage });
}

/** A commit whose path has twenty nodes more than it needs. */
export function stretched(commit: Uint8Array): Uint8Array {
  const message = decodeMlsMessage(commit, 0)?.[0];
  if (message?.wireformat !== "mls_public_message") throw new Error("no commit");
  const { publicMessage } = message;
  const { content } = publicMessage;
  if (content.contentType !== "commit" || content.commit.path === undefined) throw new Error("no path");
  const { path } = content.commit;
  const more = Array.from({ length: 20 }, () => ({ hpkePublicKey: randomBytes(32), encryptedPathSecret: [] }));
  const longer = { ...content.commit, path: { ...path, nodes: [...path.nodes, ...more] } };
  return encodeMlsMessage({ ...message, publicMessage: { ...publicMessage, content: { ...content, commit: longer } } });
}

/** A PublicMessage commit in raw bytes, with garbage for signatures: for what must be refused before any of them is looked at. */
export function rawCommit(order: {
  conversation: ConversationId;
  epoch: number;
  sender?: Uint8Array;
  proposals?: Uint8Array;
}): Uint8Array {
  const epoch = new Uint8Array(8);
  new DataView(epoch.buffer).setBigUint64(0, BigInt(order.epoch));
  const sender = order.sender ?? Uint8Array.of(1, 0, 0, 0, 0);
  const isMember = sender[0] === 1;
  return concat(
    Uint8Array.of(0, 1, 0, 1),
    vector(groupId(order.conversation, 0)),
    epoch,
    sender,
    vector(new Uint8Array()),
    Uint8Array.of(3),
    vector(order.proposals ?? new Uint8Array()),
    Uint8Array.of(0),
    vector(new Uint8Array(64)),
    vector(new Uint8Array(32)),
    isMember ? vector(new Uint8Array(32)) : new Uint8Array(),
  );
}

/** A commit without an update path: signed, tagged and consistent in itself, as the library itself never makes one that removes. */
export async function forgePathless(group: Group, proposals: readonly Proposal[]): Promise<Uint8Array> {
  const cs = await suite();
  const state = unguarded(group);
  const { groupContext, keySchedule, privatePath, confirmationTag: before, signaturePrivateKey } = state;
  const commit: Commit = {
    proposals: proposals.map((proposal) => ({ proposalOrRefType: "proposal", proposal })),
    path: undefined,
  };
  const sender = { senderType: "member", leafIndex: privatePath.leafIndex } as const;
  const nothing = new Uint8Array();
  const format = "mls_public_message";
  const { framedContent, signature } = await createContentCommitSignature(
    groupContext,
    format,
    commit,
    sender,
    nothing,
    signaturePrivateKey,
    cs.signature,
  );
  const { tree } = await applyProposals(
    state,
    commit.proposals,
    privatePath.leafIndex as never,
    emptyPskIndex,
    true,
    cs,
  );
  const treeHash = await treeHashRoot(tree, cs.hash);
  const next = await nextEpochContext(groupContext, format, framedContent, signature, treeHash, before, cs.hash);
  const zeroes = new Uint8Array(cs.kdf.size);
  const epoch = await initializeEpoch(keySchedule.initSecret, zeroes, next, zeroes, cs.kdf);
  const { confirmationKey } = epoch.keySchedule;
  const confirmationTag = await createConfirmationTag(confirmationKey, next.confirmedTranscriptHash, cs.hash);
  const auth = { contentType: "commit", signature, confirmationTag } as const;
  const authenticated = { wireformat: format, content: framedContent, auth };
  const publicMessage = await protectPublicMessage(keySchedule.membershipKey, groupContext, authenticated as never, cs);
  return encodeMlsMessage({ version: "mls10", wireformat: format, publicMessage });
}

/** A message that names any sender and any generation to whoever looks into its sender data. */
export async function forgeSender(
  group: Group,
  { leafIndex, generation }: { leafIndex: number; generation: number },
): Promise<Uint8Array> {
  const cs = await suite();
  const { groupContext, keySchedule } = unguarded(group);
  const { groupId: id, epoch } = groupContext;
  const ciphertext = randomBytes(400);
  const encryptedSenderData = await encryptSenderData(
    keySchedule.senderDataSecret,
    { leafIndex: leafIndex as never, generation, reuseGuard: randomBytes(4) as never },
    { groupId: id, epoch, contentType: "application" },
    ciphertext,
    cs,
  );
  const authenticatedData = new Uint8Array();
  return encodeMlsMessage({
    version: "mls10",
    wireformat: "mls_private_message",
    privateMessage: {
      groupId: id,
      epoch,
      contentType: "application",
      authenticatedData,
      encryptedSenderData,
      ciphertext,
    },
  });
}

/** A commit that adds what no signature vouches for, made by a library that believes every signature. */
export async function forgeGullible(group: Group, proposals: Proposal[]): Promise<Uint8Array> {
  const cs = await suite();
  const gullible = { ...cs, signature: { ...cs.signature, verify: async () => true } };
  const { commit } = await createCommit(
    { state: unguarded(group), cipherSuite: gullible },
    { wireAsPublicMessage: true, extraProposals: proposals },
  );
  return encodeMlsMessage(commit);
}
