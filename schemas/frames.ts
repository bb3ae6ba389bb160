// Owns every frame that crosses a socket, both ways, and their one binary form (CBOR). Knows neither sockets nor storage.

import * as v from "valibot";
import { decodeCbor, encodeCbor } from "./cbor.ts";
import { bytesOf } from "./credential.ts";
import { ConversationId, DeviceId, MemberId } from "./ids.ts";
import { LIMITS } from "./policy.ts";
import { REFUSALS, type RefusalCode } from "./refusal.ts";

/** Protocol versions this build speaks, newest first; offered and chosen as WebSocket subprotocol `kuvert.<version>`. */
export const PROTOCOL_VERSIONS = [1] as const;
/** Prefix of the subprotocol entry that carries the access token at an upgrade. It is never echoed. */
export const TOKEN_PROTOCOL = "token.";

const Seq = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const Time = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const Hash = bytesOf(32);
/** Client-chosen 128-bit id of one send or commit; the same id again is the same send. */
const EnvelopeKey = bytesOf(16);
const bytesUpTo = (limit: number) => v.pipe(v.instance(Uint8Array), v.minLength(1), v.maxLength(limit));

/** Where a conversation stands: `seq` of the last accepted envelope, `hash` the rolling hash up to it, MLS epoch and generation. */
export const Head = v.strictObject({ seq: Seq, hash: Hash, epoch: Seq, generation: Seq });
export type Head = v.InferOutput<typeof Head>;

/** One accepted envelope. `bytes` is null once destroyed: then only `digest` is left, so that the rolling hash still can be followed. */
export const Envelope = v.strictObject({
  seq: Seq,
  id: EnvelopeKey,
  acceptedAt: Time,
  expiresAt: v.nullable(Time),
  bytes: v.nullable(bytesUpTo(LIMITS.commitBytes)),
  digest: v.nullable(Hash),
});
export type Envelope = v.InferOutput<typeof Envelope>;

// --- conversation socket, client → server ---

/** First frame of a socket: the last seq this device has processed. */
export const ResumeFrame = v.strictObject({ type: v.literal("resume"), after: Seq });
/** Asks to append one MLS PrivateMessage. `expiresIn` in milliseconds from acceptance. */
export const SendFrame = v.strictObject({
  type: v.literal("send"),
  id: EnvelopeKey,
  bytes: bytesUpTo(LIMITS.envelopeBytes),
  expiresIn: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(1))),
});
export type SendFrame = v.InferOutput<typeof SendFrame>;
/** Asks to append one commit (MLS PublicMessage) with the welcomes it makes and the GroupInfo after it. */
export const CommitFrame = v.strictObject({
  type: v.literal("commit"),
  id: EnvelopeKey,
  bytes: bytesUpTo(LIMITS.commitBytes),
  welcomes: v.pipe(
    v.array(
      v.strictObject({
        devices: v.pipe(
          v.array(v.strictObject({ member: MemberId, device: DeviceId })),
          v.minLength(1),
          v.maxLength(LIMITS.participants),
        ),
        bytes: bytesUpTo(LIMITS.commitBytes),
      }),
    ),
    v.maxLength(8),
  ),
  groupInfo: bytesUpTo(LIMITS.commitBytes),
});
export type CommitFrame = v.InferOutput<typeof CommitFrame>;
/** Everything up to and including `seq` is durably in this device's store. */
export const ConfirmFrame = v.strictObject({ type: v.literal("confirm"), seq: Seq });
/** Asks for the envelopes after `after`, one page. */
export const PullFrame = v.strictObject({ type: v.literal("pull"), after: Seq });
/** Asks for the newest GroupInfo, to rejoin by external commit. */
export const GroupInfoRequest = v.strictObject({ type: v.literal("group_info") });

export const ClientFrame = v.variant("type", [
  ResumeFrame,
  SendFrame,
  CommitFrame,
  ConfirmFrame,
  PullFrame,
  GroupInfoRequest,
]);
export type ClientFrame = v.InferOutput<typeof ClientFrame>;

// --- conversation socket, server → client ---

/** Answer to resume. `now` is the server's clock; `first` the oldest seq the log can still speak of. */
export const ReadyFrame = v.strictObject({
  type: v.literal("ready"),
  head: Head,
  first: Seq,
  delivered: Seq,
  confirmed: Seq,
  now: Time,
});
/** Envelopes in seq order without a gap; `hash` is the rolling hash after the last one, `head` the newest seq there is, `delivered` as in {@link DeliveredFrame}. */
export const EnvelopesFrame = v.strictObject({
  type: v.literal("envelopes"),
  envelopes: v.array(Envelope),
  hash: Hash,
  head: Seq,
  delivered: Seq,
  now: Time,
});
export type EnvelopesFrame = v.InferOutput<typeof EnvelopesFrame>;
/** This id is stored already, at `seq`. Sent for a resend only: a first send is answered by its own echo. */
export const AcceptedFrame = v.strictObject({ type: v.literal("accepted"), id: EnvelopeKey, seq: Seq });
/** The device has fallen behind and is no longer pushed to: pull. */
export const BehindFrame = v.strictObject({ type: v.literal("behind"), head: Seq });
/** At least one device of every participant has confirmed everything up to `seq`. */
export const DeliveredFrame = v.strictObject({ type: v.literal("delivered"), seq: Seq });
/** Leaves of removed devices that an online member must commit out before anyone may send again. */
export const RemovalsFrame = v.strictObject({ type: v.literal("removals"), leaves: v.array(Seq) });
export const GroupInfoFrame = v.strictObject({
  type: v.literal("group_info"),
  bytes: v.nullable(bytesUpTo(LIMITS.commitBytes)),
  head: Head,
});
const Code = v.custom<RefusalCode>((code) => typeof code === "string" && Object.hasOwn(REFUSALS, code));
const Detail = v.record(
  v.string(),
  v.union([v.string(), v.number(), v.boolean(), v.null(), v.array(v.union([v.string(), v.number()]))]),
);
/** An expected no; `id` names the send or commit it answers, null when the frame could not be read that far. */
export const RefusedFrame = v.strictObject({
  type: v.literal("refused"),
  id: v.nullable(EnvelopeKey),
  code: Code,
  detail: Detail,
});
export type RefusedFrame = v.InferOutput<typeof RefusedFrame>;

export const ServerFrame = v.variant("type", [
  ReadyFrame,
  EnvelopesFrame,
  AcceptedFrame,
  BehindFrame,
  DeliveredFrame,
  RemovalsFrame,
  GroupInfoFrame,
  RefusedFrame,
]);
export type ServerFrame = v.InferOutput<typeof ServerFrame>;

// --- mailbox socket ---

/** A conversation (or the tenant's directory) has something new; `n` orders the nudges of one mailbox. */
export const Nudge = v.strictObject({
  n: Seq,
  about: v.variant("kind", [
    v.strictObject({ kind: v.literal("conversation"), conversation: ConversationId, seq: Seq }),
    v.strictObject({ kind: v.literal("removed"), conversation: ConversationId }),
    v.strictObject({ kind: v.literal("directory") }),
  ]),
});
export type Nudge = v.InferOutput<typeof Nudge>;
/** A welcome that waits for this device until it is confirmed. */
export const WelcomeItem = v.strictObject({
  n: Seq,
  conversation: ConversationId,
  seq: Seq,
  hash: Hash,
  bytes: bytesUpTo(LIMITS.commitBytes),
});
export type WelcomeItem = v.InferOutput<typeof WelcomeItem>;

export const MailboxClientFrame = v.variant("type", [
  v.strictObject({ type: v.literal("resume"), after: Seq }),
  v.strictObject({ type: v.literal("confirm"), welcome: Seq }),
]);
export type MailboxClientFrame = v.InferOutput<typeof MailboxClientFrame>;

export const MailboxServerFrame = v.variant("type", [
  v.strictObject({ type: v.literal("ready"), now: Time, stock: Seq, lastResort: v.boolean() }),
  v.strictObject({ type: v.literal("nudges"), nudges: v.array(Nudge) }),
  v.strictObject({ type: v.literal("welcomes"), welcomes: v.array(WelcomeItem) }),
  v.strictObject({ type: v.literal("stock"), stock: Seq }),
  RefusedFrame,
]);
export type MailboxServerFrame = v.InferOutput<typeof MailboxServerFrame>;

type AnyFrame = ClientFrame | ServerFrame | MailboxClientFrame | MailboxServerFrame;

/** The bytes of a frame. */
export function encodeFrame(frame: AnyFrame): Uint8Array<ArrayBuffer> {
  return encodeCbor(frame);
}

/** Reads a frame of the wanted union; `undefined` when the bytes are anything else. Check the size before calling. */
export function decodeFrame<Schema extends v.GenericSchema>(
  schema: Schema,
  bytes: Uint8Array,
): v.InferOutput<Schema> | undefined {
  const parsed = v.safeParse(schema, decodeCbor(bytes));
  return parsed.success ? parsed.output : undefined;
}
