// Builds the clear parts of MLS messages (RFC 9420 §6) by hand: the server reads nothing else and verifies no signature.

import { concat, utf8 } from "../../../schemas/bytes.ts";
import { type Credential, encodeCredential } from "../../../schemas/credential.ts";
import { type ConversationId, groupId } from "../../../schemas/ids.ts";

const uint = (size: 1 | 2 | 4 | 8, value: number): Uint8Array => {
  const bytes = new Uint8Array(size);
  for (let index = size - 1, rest = value; index >= 0; index--, rest = Math.floor(rest / 256))
    bytes[index] = rest % 256;
  return bytes;
};

/** A variable-size vector (RFC 9420 §2.1.2). */
export function vector(bytes: Uint8Array): Uint8Array {
  const { length } = bytes;
  if (length < 0x40) return concat(uint(1, length), bytes);
  if (length < 0x4000) return concat(uint(2, length + 0x4000), bytes);
  return concat(uint(4, length + 0x8000_0000), bytes);
}

const EMPTY = vector(new Uint8Array());

interface Place {
  readonly conversation: ConversationId;
  readonly generation?: number;
  readonly epoch: number;
}

const start = (wireFormat: number, { conversation, generation = 0, epoch }: Place): Uint8Array =>
  concat(uint(2, 1), uint(2, wireFormat), vector(groupId(conversation, generation)), uint(8, epoch));

/** An application PrivateMessage with `text` where its ciphertext would be. */
export function privateMessage(place: Place, text: string | Uint8Array): Uint8Array<ArrayBuffer> {
  return concat(start(2, place), uint(1, 1), EMPTY, EMPTY, vector(typeof text === "string" ? utf8(text) : text));
}

const leafNode = (credential: Credential, source: Uint8Array): Uint8Array =>
  concat(
    EMPTY,
    EMPTY,
    uint(2, 1),
    vector(encodeCredential(credential)),
    EMPTY,
    EMPTY,
    EMPTY,
    EMPTY,
    EMPTY,
    source,
    EMPTY,
    EMPTY,
  );

const add = (credential: Credential): Uint8Array =>
  concat(
    uint(1, 1),
    uint(2, 1),
    uint(4, 0x0001_0001),
    EMPTY,
    leafNode(credential, concat(uint(1, 1), uint(8, 0), uint(8, 0))),
    EMPTY,
    EMPTY,
  );
const remove = (leaf: number): Uint8Array => concat(uint(1, 1), uint(2, 3), uint(4, leaf));

/** A commit PublicMessage; `sender` null makes it an external one by `joiner`. */
export function publicCommit(
  place: Place,
  {
    sender,
    joiner,
    added = [],
    removed = [],
  }: {
    readonly sender: number | null;
    readonly joiner?: Credential;
    readonly added?: readonly Credential[];
    readonly removed?: readonly number[];
  },
): Uint8Array<ArrayBuffer> {
  const externalInit = concat(uint(1, 1), uint(2, 6), EMPTY);
  const proposals = [...removed.map(remove), ...added.map(add), ...(sender === null ? [externalInit] : [])];
  const path =
    joiner === undefined ? uint(1, 0) : concat(uint(1, 1), leafNode(joiner, concat(uint(1, 3), EMPTY)), EMPTY);
  const from = sender === null ? uint(1, 4) : concat(uint(1, 1), uint(4, sender));
  return concat(start(1, place), from, EMPTY, uint(1, 3), vector(concat(...proposals)), path, EMPTY);
}
