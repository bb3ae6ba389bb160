// The one door to the CBOR codec (RFC 8949): deterministic encoding out, strict decoding in. Knows nothing of frames or content.

import { type DecodeOptions, decode, encode } from "cborg";

const STRICT: DecodeOptions = {
  strict: true,
  allowIndefinite: false,
  allowUndefined: false,
  allowInfinity: false,
  allowNaN: false,
  allowBigInt: false,
  rejectDuplicateMapKeys: true,
};

/** Encodes a value of plain objects, arrays, strings, safe integers, booleans, null and bytes, map keys in deterministic order (RFC 8949 §4.2). */
export function encodeCbor(value: unknown): Uint8Array<ArrayBuffer> {
  return encode(value) as Uint8Array<ArrayBuffer>;
}

/** Decodes one CBOR item that fills `bytes` exactly; `undefined` for anything malformed, indefinite, tagged, duplicated or left over. */
export function decodeCbor(bytes: Uint8Array): unknown {
  try {
    return decode(bytes, STRICT);
  } catch {
    return undefined;
  }
}
