// Reads what an MLS message shows in clear (RFC 9420 §6): group, epoch, kind, and of a public commit whom it adds and removes.
// Checks no signature: the server relies on these facts only together with what it knows itself; clients verify everything.

import { type Credential, decodeCredential } from "./credential.ts";

/** What every MLS message on the log shows: `application` travels as PrivateMessage, `commit` as PublicMessage. */
export interface Header {
  readonly kind: "application" | "commit";
  readonly groupId: Uint8Array;
  readonly epoch: number;
}

/** What a public commit does, in the order of RFC 9420 §12.3: removes first, then adds. */
export interface CommitFacts extends Header {
  readonly kind: "commit";
  /** Leaf index of the committer; null for an external commit, whose committer is `joiner`. */
  readonly sender: number | null;
  readonly joiner: Credential | null;
  readonly added: readonly Credential[];
  readonly removed: readonly number[];
}

class Malformed extends Error {}

/** A cursor over TLS presentation language with RFC 9420 §2.1.2 variable-size vectors. */
class Reader {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get done(): boolean {
    return this.#offset === this.#bytes.length;
  }

  uint(size: 1 | 2 | 4): number {
    const at = this.#advance(size);
    return size === 1 ? this.#view.getUint8(at) : size === 2 ? this.#view.getUint16(at) : this.#view.getUint32(at);
  }

  uint64(): number {
    const high = this.uint(4);
    const low = this.uint(4);
    if (high > 0x1f_ffff) throw new Malformed();
    return high * 2 ** 32 + low;
  }

  vector(): Uint8Array {
    const length = this.#length();
    const at = this.#advance(length);
    return this.#bytes.subarray(at, at + length);
  }

  skip(size: number): void {
    this.#advance(size);
  }

  #length(): number {
    const first = this.uint(1);
    if (first < 0x40) return first;
    if (first < 0x80) return minimal(((first & 0x3f) << 8) | this.uint(1), 0x40);
    if (first < 0xc0) return minimal(((first & 0x3f) << 24) | (this.uint(1) << 16) | this.uint(2), 0x4000);
    throw new Malformed();
  }

  #advance(size: number): number {
    const at = this.#offset;
    if (at + size > this.#bytes.length) throw new Malformed();
    this.#offset = at + size;
    return at;
  }
}

function minimal(length: number, least: number): number {
  if (length < least) throw new Malformed();
  return length;
}

function attempt<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}

const MLS10 = 1;
const PUBLIC_MESSAGE = 1;
const PRIVATE_MESSAGE = 2;
const APPLICATION = 1;
const COMMIT = 3;
const SENDER_MEMBER = 1;
const SENDER_NEW_MEMBER_COMMIT = 4;
const BY_VALUE = 1;
const PROPOSAL_ADD = 1;
const PROPOSAL_REMOVE = 3;
const PROPOSAL_EXTERNAL_INIT = 6;
const BASIC_CREDENTIAL = 1;
const SOURCE_KEY_PACKAGE = 1;
const SOURCE_COMMIT = 3;

/** Group, epoch and kind of an MLS message; `undefined` unless it is an application PrivateMessage or a commit PublicMessage. */
export function readHeader(bytes: Uint8Array): Header | undefined {
  return attempt(() => {
    const reader = new Reader(bytes);
    if (reader.uint(2) !== MLS10) throw new Malformed();
    const wireFormat = reader.uint(2);
    const groupId = reader.vector();
    const epoch = reader.uint64();
    if (wireFormat === PRIVATE_MESSAGE && reader.uint(1) === APPLICATION)
      return { kind: "application", groupId, epoch };
    if (wireFormat !== PUBLIC_MESSAGE) throw new Malformed();
    readSender(reader);
    reader.vector();
    if (reader.uint(1) !== COMMIT) throw new Malformed();
    return { kind: "commit", groupId, epoch };
  });
}

/** All a public commit shows; `undefined` when it is malformed or holds any proposal but Add, Remove and ExternalInit by value. */
export function readCommit(bytes: Uint8Array): CommitFacts | undefined {
  return attempt(() => {
    const reader = new Reader(bytes);
    if (reader.uint(2) !== MLS10 || reader.uint(2) !== PUBLIC_MESSAGE) throw new Malformed();
    const groupId = reader.vector();
    const epoch = reader.uint64();
    const sender = readSender(reader);
    reader.vector();
    if (reader.uint(1) !== COMMIT) throw new Malformed();
    const { added, removed, external } = readProposals(reader.vector());
    const leaf = readPathLeaf(reader);
    if (external !== (sender === null) || (external && (leaf === null || added.length > 0))) throw new Malformed();
    return { kind: "commit", groupId, epoch, sender, joiner: external ? leaf : null, added, removed };
  });
}

function readSender(reader: Reader): number | null {
  const type = reader.uint(1);
  if (type === SENDER_MEMBER) return reader.uint(4);
  if (type === SENDER_NEW_MEMBER_COMMIT) return null;
  throw new Malformed();
}

function readProposals(bytes: Uint8Array): { added: Credential[]; removed: number[]; external: boolean } {
  const reader = new Reader(bytes);
  const added: Credential[] = [];
  const removed: number[] = [];
  let externals = 0;
  while (!reader.done) {
    if (reader.uint(1) !== BY_VALUE) throw new Malformed();
    const type = reader.uint(2);
    if (type === PROPOSAL_ADD) added.push(readKeyPackage(reader));
    else if (type === PROPOSAL_REMOVE) removed.push(reader.uint(4));
    else if (type === PROPOSAL_EXTERNAL_INIT) {
      reader.vector();
      externals++;
    } else throw new Malformed();
  }
  if (externals > 1 || new Set(removed).size !== removed.length) throw new Malformed();
  return { added, removed, external: externals === 1 };
}

function readPathLeaf(reader: Reader): Credential | null {
  const present = reader.uint(1);
  if (present === 0) return null;
  if (present !== 1) throw new Malformed();
  const leaf = readLeafNode(reader);
  reader.vector();
  return leaf;
}

function readKeyPackage(reader: Reader): Credential {
  reader.skip(4);
  reader.vector();
  const leaf = readLeafNode(reader);
  reader.vector();
  reader.vector();
  return leaf;
}

function readLeafNode(reader: Reader): Credential {
  reader.vector();
  reader.vector();
  if (reader.uint(2) !== BASIC_CREDENTIAL) throw new Malformed();
  const credential = decodeCredential(reader.vector());
  for (let capability = 0; capability < 5; capability++) reader.vector();
  const source = reader.uint(1);
  if (source === SOURCE_KEY_PACKAGE) reader.skip(16);
  else if (source === SOURCE_COMMIT) reader.vector();
  reader.vector();
  reader.vector();
  if (credential === undefined) throw new Malformed();
  return credential;
}

/** Who sits on which leaf of a group after a commit: removes blank leaves, adds take the leftmost blank (RFC 9420 §7.7, §12.3); `undefined` when it removes nobody's leaf. */
export function applyToLeaves<Leaf>(
  leaves: readonly (Leaf | null)[],
  change: { removed: readonly number[]; added: readonly Leaf[] },
): (Leaf | null)[] | undefined {
  const next = [...leaves];
  for (const leaf of change.removed) {
    if (next[leaf] == null) return undefined;
    next[leaf] = null;
  }
  for (const leaf of change.added) {
    const blank = next.indexOf(null);
    if (blank === -1) next.push(leaf);
    else next[blank] = leaf;
  }
  while (next.length > 0 && next.at(-1) === null) next.pop();
  return next;
}
