// Owns what a ratchet tree must look like before the library may touch it, and after a commit changed it. Verifies no signatures.

import { decodeVarLenData } from "ts-mls/codec/variableLength.js";
import type { GroupInfo } from "ts-mls/groupInfo.js";
import { decodeNode, type RatchetTree } from "ts-mls/ratchetTree.js";
import { toHex } from "../../../schemas/bytes.ts";
import { deviceOf, isWellFormedLeaf } from "./credential-check.ts";
import { MAX_LEAVES } from "./limits.ts";
import { SUITE } from "./provider.ts";
import { isContributoryKey } from "./weak-keys.ts";

const MAX_NODES = 2 * MAX_LEAVES - 1;
const GROUP_INFO_EXTENSIONS = new Set<unknown>(["ratchet_tree", "external_pub"]);

/**
 * Whether a GroupInfo is one that Kuvert makes: our suite, no group extensions, nothing beside tree and external key, and a tree small
 * enough for the library, whose checks cost as much as the square of it.
 */
export function isPlausibleGroupInfo(info: GroupInfo): boolean {
  const { groupContext, extensions } = info;
  if (groupContext.version !== "mls10" || groupContext.cipherSuite !== SUITE) return false;
  if (groupContext.epoch > BigInt(Number.MAX_SAFE_INTEGER) || groupContext.extensions.length > 0) return false;
  const types = extensions.map((extension) => extension.extensionType);
  if (new Set(types).size !== types.length || !types.every((type) => GROUP_INFO_EXTENSIONS.has(type))) return false;
  const tree = extensions.find((extension) => extension.extensionType === "ratchet_tree");
  return tree !== undefined && isPlausibleTree(tree.extensionData);
}

/** Whether every leaf is well-formed, every key is there once and contributes, and every device has one leaf (RFC 9420 §7.3 and our own rule). */
export function isSoundTree(tree: RatchetTree): boolean {
  if (tree.length > MAX_NODES) return false;
  const seen = new Set<string>();
  let expected = 0;
  const add = (key: string): void => {
    seen.add(key);
    expected++;
  };
  for (const node of tree) {
    if (node === undefined) continue;
    const key = node.nodeType === "leaf" ? node.leaf.hpkePublicKey : node.parent.hpkePublicKey;
    if (!isContributoryKey(key)) return false;
    add(toHex(key));
    if (node.nodeType === "parent") continue;
    const device = deviceOf(node.leaf);
    if (device === undefined || !isWellFormedLeaf(node.leaf)) return false;
    add(`signature ${toHex(node.leaf.signaturePublicKey)}`);
    add(`device ${device.member} ${device.device}`);
  }
  return seen.size === expected;
}

function isPlausibleTree(encoded: Uint8Array): boolean {
  try {
    const vector = decodeVarLenData(encoded, 0);
    return vector !== undefined && vector[1] === encoded.length && areInBounds(vector[0]);
  } catch {
    return false;
  }
}

/** Walks the nodes without building a tree; stops at the first that is too many or names leaves that cannot be. */
function areInBounds(nodes: Uint8Array): boolean {
  let count = 0;
  let furthest = 0;
  for (let offset = 0; offset < nodes.length; count++) {
    if (count === MAX_NODES) return false;
    const node = nodes[offset] === 1 ? decodeNode(nodes, offset + 1) : undefined;
    if (node === undefined && nodes[offset] !== 0) return false;
    offset += 1 + (node?.[1] ?? 0);
    const unmerged = node?.[0].nodeType === "parent" ? node[0].parent.unmergedLeaves : [];
    if (!isAscending(unmerged)) return false;
    furthest = Math.max(furthest, unmerged.at(-1) ?? 0);
  }
  return 2 * furthest < count;
}

/** Strictly ascending leaf indexes (RFC 9420 §7.1), which together with the furthest of them also bounds their number. */
function isAscending(leaves: readonly number[]): boolean {
  return leaves.every((leaf, at) => at === 0 || leaf > (leaves[at - 1] ?? 0));
}
