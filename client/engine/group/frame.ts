// Owns the step from bytes to MLS messages: size first, then one exact spelling only. Must not know any group.

import { decodeMlsMessage, encodeMlsMessage, type MLSMessage, type MlsMessageContent } from "ts-mls/message.js";
import { equalBytes } from "../../../schemas/bytes.ts";

type WireFormat = MLSMessage["wireformat"];
type MessageOf<Format extends WireFormat> = Extract<MLSMessage, { wireformat: Format }>;

/**
 * Decodes one MLS message of the wanted kind; `undefined` when it is too long, malformed, of another kind, or spelled otherwise than we
 * would spell it. Comparing with our own spelling refuses trailing bytes, long-form lengths and stray flags wherever they hide.
 */
export function readMessage<Format extends WireFormat>(
  bytes: Uint8Array,
  { format, limit }: { format: Format; limit: number },
): MessageOf<Format> | undefined {
  if (bytes.length > limit) return undefined;
  // The decoder hands out views: a copy keeps them valid whatever the caller does with its buffer
  const copy = bytes.slice();
  try {
    const message = decodeMlsMessage(copy, 0)?.[0];
    if (message === undefined || message.wireformat !== format) return undefined;
    return equalBytes(encodeMlsMessage(message), copy) ? (message as MessageOf<Format>) : undefined;
  } catch {
    return undefined;
  }
}

/** Encodes an MLS message. */
export function writeMessage(content: MlsMessageContent): Uint8Array {
  return encodeMlsMessage({ version: "mls10", ...content });
}
