// Owns opening a backlog quickly: messages of the live epoch that come in the order they were sealed are worked on side by side. Whatever
// is out of the ordinary is left to open, one by one, which alone decides what is wrong with it.

import { encode } from "ts-mls/codec/tlsEncoder.js";
import type { CiphersuiteImpl } from "ts-mls/crypto/ciphersuite.js";
import { verifyFramedContentSignature } from "ts-mls/framedContent.js";
import {
  decodePrivateMessageContent,
  decryptSenderData,
  type PrivateMessage,
  privateContentAADEncoder,
  toAuthenticatedContent,
} from "ts-mls/privateMessage.js";
import { ratchetToGeneration, type SecretTree } from "ts-mls/secretTree.js";
import { equalBytes } from "../../../schemas/bytes.ts";
import { readHeader } from "../../../schemas/envelope.ts";
import { peerAt } from "./credential-check.ts";
import { idOf } from "./epochs.ts";
import { readMessage } from "./frame.ts";
import { RETENTION } from "./library.ts";
import { MAX_BYTES, MAX_GENERATION } from "./limits.ts";
import type { Outcome } from "./open.ts";
import { suite } from "./provider.ts";
import { ratchetWrite } from "./records.ts";
import type { Group, Live, Peer, Step } from "./state.ts";

export type Message = Extract<Outcome, { kind: "message" }>;

/** Messages in the order of their envelopes, with the group after all of them. */
export interface OpenedMany extends Step {
  readonly messages: readonly Message[];
}

/** What one message needs to be decrypted, taken off its sender's ratchet. */
interface Key {
  readonly sender: Peer;
  readonly key: Uint8Array;
  readonly nonce: Uint8Array;
}

class OutOfTheOrdinary extends Error {}

/**
 * Opens application messages of the live epoch by other devices, each after those that came before it from its sender. All or nothing: `undefined`, with
 * nothing changed, when any of them is anything else.
 */
export async function openMany(group: Group, envelopes: readonly Uint8Array[]): Promise<OpenedMany | undefined> {
  const { live } = group;
  if (live === null || envelopes.length === 0) return undefined;
  try {
    const groupId = idOf(group);
    const privateMessages = envelopes.map((bytes) => read(bytes, { live, groupId }));
    const cs = await suite();
    const { keys, ratchets, spent } = await turn(live, { privateMessages, cs });
    const messages = await Promise.all(
      privateMessages.map((message, at) => decrypt(message, { live, cs, taken: keys[at] })),
    );
    const next: Live = { ...live, ratchets };
    const leaves = new Set(keys.map(({ sender }) => sender.leaf));
    const writes = [...leaves].map((leaf) => ratchetWrite(next, leaf));
    return { group: { ...group, live: next }, writes, spent, messages };
  } catch {
    return undefined;
  }
}

function read(bytes: Uint8Array, { live, groupId }: { live: Live; groupId: Uint8Array }): PrivateMessage {
  const header = readHeader(bytes);
  if (header?.kind !== "application" || header.epoch !== live.number || !equalBytes(header.groupId, groupId)) {
    throw new OutOfTheOrdinary();
  }
  const message = readMessage(bytes, { format: "mls_private_message", limit: MAX_BYTES.application })?.privateMessage;
  if (message?.contentType !== "application" || message.authenticatedData.length > 0) throw new OutOfTheOrdinary();
  return message;
}

/** Takes the key of each message off its sender's ratchet, in order. */
async function turn(
  live: Live,
  { privateMessages, cs }: { privateMessages: readonly PrivateMessage[]; cs: CiphersuiteImpl },
): Promise<{ keys: readonly Key[]; ratchets: SecretTree; spent: readonly Uint8Array[] }> {
  const senders = await Promise.all(
    privateMessages.map((message) => decryptSenderData(message, live.senderDataSecret, cs)),
  );
  const keys: Key[] = [];
  const spent: Uint8Array[] = [];
  let { ratchets } = live;
  for (const data of senders) {
    const sender = data === undefined ? undefined : peerAt(live.tree, data.leafIndex);
    const generation = sender === undefined ? undefined : ratchets[sender.leaf * 2]?.application.generation;
    const isAhead = data !== undefined && generation !== undefined && data.generation >= generation;
    const isOpenable = isAhead && data.generation < MAX_GENERATION;
    if (sender === undefined || !isOpenable || sender.leaf === live.privatePath.leafIndex) throw new OutOfTheOrdinary();
    const taken = await ratchetToGeneration(ratchets, data, "application", RETENTION, cs);
    ratchets = taken.newTree;
    spent.push(...taken.consumed);
    keys.push({ sender, key: taken.key, nonce: taken.nonce });
  }
  return { keys, ratchets, spent };
}

async function decrypt(
  message: PrivateMessage,
  { live, cs, taken }: { live: Live; cs: CiphersuiteImpl; taken: Key | undefined },
): Promise<Message> {
  if (taken === undefined) throw new OutOfTheOrdinary();
  const { sender, key, nonce } = taken;
  const { groupId, epoch, contentType, authenticatedData, ciphertext } = message;
  const aad = encode(privateContentAADEncoder)({ groupId, epoch, contentType, authenticatedData });
  const padded = await cs.hpke.decryptAead(key, nonce, aad, ciphertext);
  const plain = decodePrivateMessageContent(contentType)(padded, 0)?.[0];
  if (plain?.contentType !== "application") throw new OutOfTheOrdinary();
  const { content, auth } = toAuthenticatedContent(plain, message, sender.leaf);
  const isSigned = await verifyFramedContentSignature(
    sender.signatureKey,
    "mls_private_message",
    content,
    auth,
    live.context,
    cs.signature,
  );
  if (!isSigned || content.contentType !== "application") throw new OutOfTheOrdinary();
  return { kind: "message", sender, plaintext: content.applicationData.slice(), epoch: live.number };
}
