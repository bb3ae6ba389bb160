// Owns the bytes of the one frame that carries nearly all traffic, written by hand: the same bytes as the general encoder makes, in a
// tenth of its time. Knows CBOR (RFC 8949) as far as that frame needs it.

import type { Envelope, EnvelopesFrame } from "../../schemas/frames.ts";

const BYTES = 2;
const TEXT = 3;
const ARRAY = 4;
const MAP = 5;
const NULL = 0xf6;
/** More than everything in an envelope or frame that is not `bytes` takes. */
const ROOM = 256;

/** A name as CBOR text, ready to be copied. */
function name(text: string): Uint8Array {
  return Uint8Array.from([(TEXT << 5) | text.length, ...new TextEncoder().encode(text)]);
}

const NAMES = {
  id: name("id"),
  seq: name("seq"),
  bytes: name("bytes"),
  digest: name("digest"),
  expiresAt: name("expiresAt"),
  acceptedAt: name("acceptedAt"),
  now: name("now"),
  hash: name("hash"),
  head: name("head"),
  type: name("type"),
  delivered: name("delivered"),
  envelopes: name("envelopes"),
};

/** The bytes of a frame of envelopes. */
export function encodeEnvelopes({ envelopes, hash, head, delivered, now }: EnvelopesFrame): Uint8Array<ArrayBuffer> {
  const size = envelopes.reduce((sum, { bytes }) => sum + (bytes?.length ?? 0) + ROOM, ROOM);
  const writer = new Writer(size);
  writer.head(MAP, 6);
  writer.copy(NAMES.now).head(0, now);
  writer.copy(NAMES.hash).bytes(hash);
  writer.copy(NAMES.head).head(0, head);
  writer.copy(NAMES.type).copy(NAMES.envelopes);
  writer.copy(NAMES.delivered).head(0, delivered);
  writer.copy(NAMES.envelopes).head(ARRAY, envelopes.length);
  for (const envelope of envelopes) writeEnvelope(writer, envelope);
  return writer.written();
}

function writeEnvelope(writer: Writer, { id, seq, bytes, digest, expiresAt, acceptedAt }: Envelope): void {
  writer.head(MAP, 6);
  writer.copy(NAMES.id).bytes(id);
  writer.copy(NAMES.seq).head(0, seq);
  writer.copy(NAMES.bytes).bytes(bytes);
  writer.copy(NAMES.digest).bytes(digest);
  writer.copy(NAMES.expiresAt).time(expiresAt);
  writer.copy(NAMES.acceptedAt).head(0, acceptedAt);
}

class Writer {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  #at = 0;

  constructor(size: number) {
    this.#bytes = new Uint8Array(size);
    this.#view = new DataView(this.#bytes.buffer);
  }

  copy(bytes: Uint8Array): this {
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
    return this;
  }

  /** An item's head: its major type and its argument, a safe integer, in the shortest form. */
  head(major: number, value: number): this {
    const start = major << 5;
    if (value < 24) this.#byte(start | value);
    else if (value < 0x100) this.#byte(start | 24).#byte(value);
    else if (value < 0x1_0000) this.#byte(start | 25).#fixed(2, value);
    else if (value < 0x1_0000_0000) this.#byte(start | 26).#fixed(4, value);
    else
      this.#byte(start | 27)
        .#fixed(4, Math.floor(value / 0x1_0000_0000))
        .#fixed(4, value % 0x1_0000_0000);
    return this;
  }

  bytes(bytes: Uint8Array | null): this {
    return bytes === null ? this.#byte(NULL) : this.head(BYTES, bytes.length).copy(bytes);
  }

  time(at: number | null): this {
    return at === null ? this.#byte(NULL) : this.head(0, at);
  }

  written(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#at);
  }

  #byte(value: number): this {
    this.#bytes[this.#at++] = value;
    return this;
  }

  #fixed(size: 2 | 4, value: number): this {
    if (size === 2) this.#view.setUint16(this.#at, value);
    else this.#view.setUint32(this.#at, value);
    this.#at += size;
    return this;
  }
}
