// Owns what two devices that share a code say to each other, as pure steps: bytes in, bytes and next state out. Whoever carries the bytes
// and does not know the code can neither read nor replace any of them. Knows no server.

// HPKE in mode PSK (RFC 9180 §5.1.2), answers by exported keys (§9.8), and six digits to compare. The digits depend on a nonce that the
// first device has committed to before it sees anything of the second: even somebody who knows the code and sits in between has one guess
// in a million, because neither end can be tried out after the other is known.

import { Aes256Gcm, CipherSuite, HkdfSha256, type RecipientContext, type SenderContext } from "@hpke/core";
import { xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { concat, equalBytes, randomBytes, utf8 } from "../../../schemas/bytes.ts";
import { decodeLink, encodeLink, LinkHandover, LinkHello, LinkOffer, LinkReply } from "../../../schemas/linking.ts";
import { curves } from "../group/provider.ts";
import type { Bytes } from "../records.ts";
import type { LinkKeys } from "./code.ts";

const INFO = utf8("kuvert link 1");
const NONCE = 24;

/** What comes of the code once the second device has answered: a key for each thing that follows, which only the two can make. */
export interface Exported {
  readonly digits: Bytes;
  readonly reveal: Bytes;
  readonly handover: Bytes;
}

/** The first device, before anybody has answered. Good for one answer. */
export interface Offering {
  readonly keys: LinkKeys;
  readonly pair: CryptoKeyPair;
  readonly nonce: Bytes;
  readonly offer: Bytes;
}

/** Either device, once both have the same secret. `digits` are to be compared by a person: six, such as "042117". */
export interface Agreed {
  readonly digits: string;
  readonly exported: Exported;
}

/** The second device, before the first has shown its nonce. All of it are bytes, so that it can be kept. */
export interface Greeting {
  readonly exported: Exported;
  readonly offer: Bytes;
  readonly commitment: Uint8Array;
  readonly hello: Bytes;
}

/** Step 1, first device: what it leaves under the code. */
export async function makeOffer(keys: LinkKeys): Promise<Offering> {
  const suite = await hpke();
  const pair = await suite.kem.generateKeyPair();
  const publicKey = new Uint8Array(await suite.kem.serializePublicKey(pair.publicKey));
  const nonce = randomBytes(32);
  const offer = encodeLink({ v: 1, publicKey, commitment: commitmentTo(nonce) });
  return { keys, pair, nonce, offer };
}

/** Step 2, second device: its answer, sealed to the offer under the code. Undefined when the offer is none. */
export async function makeHello(
  keys: LinkKeys,
  offer: Bytes,
  { name }: { name: string },
): Promise<Greeting | undefined> {
  const read = decodeLink(LinkOffer, offer);
  if (read === undefined) return undefined;
  const suite = await hpke();
  try {
    const recipientPublicKey = await suite.kem.deserializePublicKey(bufferOf(read.publicKey));
    const context = await suite.createSenderContext({ recipientPublicKey, ...shared(keys) });
    const sealed = new Uint8Array(await context.seal(bufferOf(encodeLink({ v: 1, name })), bufferOf(sha256(offer))));
    const hello = encodeLink({ v: 1, enc: new Uint8Array(context.enc), sealed });
    return { exported: await exportKeys(context), offer, commitment: read.commitment, hello };
  } catch {
    // A point of small order, or one that is none
    return undefined;
  }
}

/** Step 3, first device: who answers, the digits, and its nonce. Undefined when the answer was not made with this code for this offer. */
export async function openHello(
  { keys, pair, nonce, offer }: Offering,
  hello: Bytes,
): Promise<(Agreed & { readonly name: string; readonly reveal: Bytes }) | undefined> {
  const read = decodeLink(LinkReply, hello);
  if (read === undefined) return undefined;
  const suite = await hpke();
  try {
    const context = await suite.createRecipientContext({
      recipientKey: pair,
      enc: bufferOf(read.enc),
      ...shared(keys),
    });
    const opened = await context.open(bufferOf(read.sealed), bufferOf(sha256(offer)));
    const said = decodeLink(LinkHello, new Uint8Array(opened));
    if (said === undefined) return undefined;
    const exported = await exportKeys(context);
    const digits = digitsOf(exported, { offer, hello, nonce });
    return { name: said.name, digits, exported, reveal: sealAnswer(exported.reveal, nonce) };
  } catch {
    return undefined;
  }
}

/** Step 4, second device: the digits. Undefined when the nonce is not the one that was committed to. */
export function openReveal({ exported, offer, commitment, hello }: Greeting, reveal: Bytes): Agreed | undefined {
  const nonce = openAnswer(exported.reveal, reveal);
  if (nonce === undefined || !equalBytes(commitmentTo(nonce), commitment)) return undefined;
  return { exported, digits: digitsOf(exported, { offer, hello, nonce }) };
}

/** Step 5, first device, only after a person has found the digits equal: everything the second device needs to be one of the member's. */
export function sealHandover({ exported }: Agreed, handover: LinkHandover): Bytes {
  return sealAnswer(exported.handover, encodeLink(handover));
}

/** Step 6, second device. Undefined when it was not sealed by the device that the digits were compared with. */
export function openHandover({ exported }: Agreed, bytes: Bytes): LinkHandover | undefined {
  const opened = openAnswer(exported.handover, bytes);
  return opened && decodeLink(LinkHandover, opened);
}

async function hpke(): Promise<CipherSuite> {
  const { kem } = await curves();
  return new CipherSuite({ kem, kdf: new HkdfSha256(), aead: new Aes256Gcm() });
}

function shared({ id, psk }: LinkKeys) {
  return { info: bufferOf(INFO), psk: { id: bufferOf(utf8(id)), key: bufferOf(psk) } };
}

function commitmentTo(nonce: Uint8Array): Bytes {
  return sha256(concat(utf8("kuvert link commitment 1\0"), nonce)) as Bytes;
}

function digitsOf(
  { digits: secret }: Exported,
  { offer, hello, nonce }: { offer: Uint8Array; hello: Uint8Array; nonce: Uint8Array },
): string {
  const hash = sha256(concat(utf8("kuvert link digits 1\0"), secret, sha256(offer), sha256(hello), nonce));
  const number = new DataView(hash.buffer, hash.byteOffset).getBigUint64(0) % 1_000_000n;
  return number.toString().padStart(6, "0");
}

function sealAnswer(key: Bytes, plaintext: Uint8Array): Bytes {
  const nonce = randomBytes(NONCE);
  return concat(nonce, xchacha20poly1305(key, nonce).encrypt(plaintext));
}

function openAnswer(key: Bytes, bytes: Bytes): Bytes | undefined {
  if (bytes.length < NONCE) return undefined;
  const cipher = xchacha20poly1305(key, bytes.subarray(0, NONCE));
  try {
    return cipher.decrypt(bytes.subarray(NONCE)) as Bytes;
  } catch {
    return undefined;
  }
}

/** Each answer has a key of its own, so that none can stand in for the other. */
async function exportKeys(context: Pick<SenderContext | RecipientContext, "export">): Promise<Exported> {
  const key = async (label: string) => new Uint8Array(await context.export(bufferOf(utf8(label)), 32));
  return { digits: await key("digits"), reveal: await key("reveal"), handover: await key("handover") };
}

/** The library takes whole buffers and would see past a view's ends. */
function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return bytes.slice().buffer as ArrayBuffer;
}
