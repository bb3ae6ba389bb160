// Owns the box beside a passkey: the keys of a phrase, sealed so that only the passkey's authenticator opens it. Sends nothing and knows no
// WebAuthn but the secret that comes of it.

import { xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { concat, randomBytes, toBase64url, utf8 } from "../../../schemas/bytes.ts";
import { encodeCbor } from "../../../schemas/cbor.ts";
import { idBytes, type MemberId, type RecoveryId, type TenantId } from "../../../schemas/ids.ts";
import type { Bytes } from "../records.ts";
import type { PhraseRecord } from "./phrase-record.ts";

const FORMAT = 1;
const NONCE = 24;
const LOOKUP = 16;
const SALT = utf8("kuvert passkey 1");

/** Which passkey, whose, and the 32 bytes its authenticator makes of ours (WebAuthn's PRF extension, §10.1.4), which leave the browser never. */
export interface BoxKey {
  readonly tenant: TenantId;
  readonly member: MemberId;
  readonly credential: string;
  readonly secret: Uint8Array;
}

/** What is in a box: all that a device keeps of a phrase that was written down. */
export type BoxContent = Pick<PhraseRecord, "lookup" | "backupKey">;

/** Seals the keys of a phrase under a fresh random nonce. */
export function sealBox(key: BoxKey, { lookup, backupKey }: BoxContent): Bytes {
  const nonce = randomBytes(NONCE);
  const sealed = cipherOf(key, nonce).encrypt(concat(idBytes(lookup), backupKey));
  return concat(Uint8Array.of(FORMAT), nonce, sealed);
}

/** Opens what {@link sealBox} has sealed for the same passkey and member; `undefined` for anything else. */
export function openBox(key: BoxKey, box: Uint8Array): BoxContent | undefined {
  if (box[0] !== FORMAT) return undefined;
  try {
    const content = cipherOf(key, box.subarray(1, 1 + NONCE)).decrypt(box.subarray(1 + NONCE));
    const lookup = toBase64url(content.subarray(0, LOOKUP)) as RecoveryId;
    return { lookup, backupKey: content.slice(LOOKUP) as Bytes };
  } catch {
    return undefined;
  }
}

function cipherOf({ tenant, member, credential, secret }: BoxKey, nonce: Uint8Array) {
  const key = hkdf(sha256, secret, SALT, utf8("box"), 32);
  const binding = concat(utf8("kuvert passkey box 1\0"), encodeCbor([tenant, member, credential]));
  return xchacha20poly1305(key, nonce, binding);
}
