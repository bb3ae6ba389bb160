// Owns key packages: making them with their private parts, reading other devices', and their lifetimes. Does not store or serve them.

import {
  generateKeyPackageWithKey,
  type KeyPackage,
  makeKeyPackageRef,
  type PrivateKeyPackage,
  verifyKeyPackage,
} from "ts-mls/keyPackage.js";
import { verifyLeafNodeSignatureKeyPackage } from "ts-mls/leafNode.js";
import { equalBytes, toBase64url } from "../../../schemas/bytes.ts";
import { decodeCbor, encodeCbor } from "../../../schemas/cbor.ts";
import { CAPABILITIES, LAST_RESORT, type LeafFault, leafFault, toMlsCredential } from "./credential-check.ts";
import { readMessage, writeMessage } from "./frame.ts";
import { CLOCK_SKEW, KEY_PACKAGE_LIFE, MAX_BYTES } from "./limits.ts";
import { SUITE, suite } from "./provider.ts";
import type { Context, Me } from "./state.ts";
import { isContributoryKey } from "./weak-keys.ts";

/** A key package of this device: what is published, and what is kept in the store under `ref` until it is used. */
export interface OwnKeyPackage {
  /** KeyPackageRef (RFC 9420 §5.2) as base64url. */
  readonly ref: string;
  readonly publicBytes: Uint8Array;
  readonly privateRecord: Uint8Array;
  readonly expiresAt: number;
  readonly lastResort: boolean;
}

/** A private record read back. */
export interface OpenedKeyPackage {
  readonly keyPackage: KeyPackage;
  readonly privateKeys: PrivateKeyPackage;
  readonly lastResort: boolean;
}

/** Why a key package must not be added. */
export type KeyPackageFault = LeafFault | "expired";

/** Makes `count` key packages for this device, valid for 90 days from a day before `now` (ms). */
export async function createKeyPackages(order: {
  me: Me;
  count: number;
  lastResort: boolean;
  now: number;
}): Promise<OwnKeyPackage[]> {
  return Promise.all(Array.from({ length: order.count }, () => createKeyPackage(order)));
}

/** A key package in the library's own form, for a leaf that is made here and now. */
export async function generateOwn(me: Me, { lastResort, now }: { lastResort: boolean; now: number }) {
  const notBefore = now - CLOCK_SKEW;
  return generateKeyPackageWithKey(
    toMlsCredential(me),
    CAPABILITIES,
    { notBefore: seconds(notBefore), notAfter: seconds(notBefore + KEY_PACKAGE_LIFE) },
    lastResort ? [{ extensionType: LAST_RESORT, extensionData: new Uint8Array() }] : [],
    { signKey: me.signatureKey.privateKey, publicKey: me.signatureKey.publicKey },
    await suite(),
  );
}

/** Reads a key package that somebody published; `undefined` when it is not exactly one of our kind. */
export function readKeyPackage(bytes: Uint8Array): KeyPackage | undefined {
  return readMessage(bytes, { format: "mls_key_package", limit: MAX_BYTES.keyPackage })?.keyPackage;
}

/** Why a key package must not be added at the time `at` (ms); `undefined` when it may. Its signatures are the library's to check. */
export async function keyPackageFault(
  keyPackage: KeyPackage,
  { context, at }: { context: Context; at: number },
): Promise<KeyPackageFault | undefined> {
  if (!isWellFormed(keyPackage)) return "malformed";
  return isAlive(keyPackage, at) ? leafFault(keyPackage.leafNode, context) : "expired";
}

/** Whether both signatures of a key package hold: to find out which of many made the library refuse. */
export async function isSigned(keyPackage: KeyPackage): Promise<boolean> {
  const { signature } = await suite();
  try {
    return (
      (await verifyLeafNodeSignatureKeyPackage(keyPackage.leafNode, signature)) &&
      (await verifyKeyPackage(keyPackage, signature))
    );
  } catch {
    return false;
  }
}

/** Reads a private record back; `undefined` when it is damaged or was made with another signature key than `me`'s. */
export function openKeyPackage(privateRecord: Uint8Array, me: Me): OpenedKeyPackage | undefined {
  const record = decodeCbor(privateRecord) as StoredKeyPackage | undefined;
  const keyPackage = record?.v === 1 ? readKeyPackage(record.publicBytes) : undefined;
  if (record === undefined || keyPackage === undefined) return undefined;
  if (!equalBytes(keyPackage.leafNode.signaturePublicKey, me.signatureKey.publicKey)) return undefined;
  const { init: initPrivateKey, leaf: hpkePrivateKey, lastResort } = record;
  const signaturePrivateKey = me.signatureKey.privateKey;
  return { keyPackage, privateKeys: { initPrivateKey, hpkePrivateKey, signaturePrivateKey }, lastResort };
}

/** KeyPackageRef as base64url. */
export async function refOf(keyPackage: KeyPackage): Promise<string> {
  return toBase64url(await makeKeyPackageRef(keyPackage, (await suite()).hash));
}

interface StoredKeyPackage {
  readonly v: 1;
  readonly publicBytes: Uint8Array;
  readonly init: Uint8Array;
  readonly leaf: Uint8Array;
  readonly lastResort: boolean;
}

async function createKeyPackage(order: { me: Me; lastResort: boolean; now: number }): Promise<OwnKeyPackage> {
  const { publicPackage, privatePackage } = await generateOwn(order.me, order);
  const publicBytes = writeMessage({ wireformat: "mls_key_package", keyPackage: publicPackage });
  const { initPrivateKey: init, hpkePrivateKey: leaf } = privatePackage;
  const record: StoredKeyPackage = { v: 1, publicBytes, init, leaf, lastResort: order.lastResort };
  return {
    ref: await refOf(publicPackage),
    publicBytes,
    privateRecord: encodeCbor(record),
    expiresAt: order.now - CLOCK_SKEW + KEY_PACKAGE_LIFE,
    lastResort: order.lastResort,
  };
}

function isWellFormed({ version, cipherSuite, extensions, initKey, leafNode }: KeyPackage): boolean {
  return (
    version === "mls10" &&
    cipherSuite === SUITE &&
    extensions.length <= 1 &&
    extensions.every(
      ({ extensionType, extensionData }) => extensionType === LAST_RESORT && extensionData.length === 0,
    ) &&
    leafNode.leafNodeSource === "key_package" &&
    isContributoryKey(initKey) &&
    !equalBytes(initKey, leafNode.hpkePublicKey)
  );
}

function isAlive({ leafNode }: KeyPackage, at: number): boolean {
  if (leafNode.leafNodeSource !== "key_package") return false;
  const { notBefore, notAfter } = leafNode.lifetime;
  const now = seconds(at);
  return notBefore <= now && now <= notAfter && notAfter - notBefore <= seconds(KEY_PACKAGE_LIFE);
}

function seconds(ms: number): bigint {
  return BigInt(Math.floor(ms / 1000));
}
