// Owns what is inside an encrypted message. Only clients ever see these; the server has the schema and never the bytes.

import * as v from "valibot";
import { decodeCbor, encodeCbor } from "./cbor.ts";
import { bytesOf } from "./credential.ts";
import { ConversationId, MemberId } from "./ids.ts";
import { LIMITS } from "./policy.ts";

const Time = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const ExpiresIn = v.pipe(v.number(), v.safeInteger(), v.minValue(LIMITS.minExpiry), v.maxValue(LIMITS.maxExpiry));

/** The head of the log the sender had seen: lets receivers notice a fork or a rollback. */
const SeenHead = v.strictObject({ seq: Time, hash: bytesOf(32) });

/** The head of the tenant's key log the sender had seen: lets receivers notice that the server shows them another one. */
const SeenKeys = v.strictObject({ size: Time, root: bytesOf(32) });

const shared = { sentAt: Time, seen: SeenHead, keys: SeenKeys };

/** Something a person wrote. `expiresIn` (ms from acceptance) repeats what the server was asked, so that clients enforce it on their own. */
const TextContent = v.strictObject({
  type: v.literal("text"),
  text: v.pipe(v.string(), v.minLength(1), v.maxLength(LIMITS.textCharacters)),
  expiresIn: v.nullable(ExpiresIn),
  ...shared,
});
/** What the conversation is called and how long its messages live unless told otherwise; sent on every change and to every newcomer. */
const SettingsContent = v.strictObject({
  type: v.literal("settings"),
  title: v.nullable(v.pipe(v.string(), v.minLength(1), v.maxLength(LIMITS.nameCharacters))),
  expiresIn: v.nullable(ExpiresIn),
  ...shared,
});

/**
 * How a member's devices stand to one conversation: read up to a seq; pinned; muted until a time of the server's clock, 0 for not at all. `at` is
 * when that was set: of two, the later one stands.
 */
const Mark = v.strictObject({
  conversation: ConversationId,
  readTo: Time,
  pinned: v.strictObject({ is: v.boolean(), at: Time }),
  muted: v.strictObject({ until: Time, at: Time }),
});
export type Mark = v.InferOutput<typeof Mark>;

/** What a person has decided about another one's key: compared, or that taken back. Of two, the one made later (`at`) stands. */
const Comparison = v.strictObject({ member: MemberId, identityKey: bytesOf(32), verified: v.boolean(), at: Time });
export type Comparison = v.InferOutput<typeof Comparison>;

/** So many marks travel together at most, and so many comparisons. */
export const MOST_MARKS = 256;
export const MOST_COMPARISONS = 128;

/** What a member's devices tell each other in the conversation of the member with itself. `asks`: whoever has more is to tell it. */
const MarksContent = v.strictObject({
  type: v.literal("marks"),
  marks: v.pipe(v.array(Mark), v.maxLength(MOST_MARKS)),
  comparisons: v.optional(v.pipe(v.array(Comparison), v.maxLength(MOST_COMPARISONS)), []),
  asks: v.boolean(),
  ...shared,
});

export const Content = v.variant("type", [TextContent, SettingsContent, MarksContent]);
export type Content = v.InferOutput<typeof Content>;

/** The bytes of a content, before padding and encryption. */
export function encodeContent(content: Content): Uint8Array<ArrayBuffer> {
  return encodeCbor(content);
}

/** Reads a decrypted content; `undefined` for anything this build does not know. */
export function decodeContent(bytes: Uint8Array): Content | undefined {
  const parsed = v.safeParse(Content, decodeCbor(bytes));
  return parsed.success ? parsed.output : undefined;
}
