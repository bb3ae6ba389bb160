// Owns how a stored line or a waiting intent looks to whoever draws it. Pure.

import { toBase64url } from "../../schemas/bytes.ts";
import type { MemberId } from "../../schemas/ids.ts";
import type { IntentRecord, MessageRecord } from "./records.ts";
import type { ServerTime } from "./server-time.ts";
import type { MessageState, MessageView } from "./view.ts";

/** From where a line is looked at. */
export interface Sight {
  readonly me: MemberId;
  /** Everybody has everything up to this seq. */
  readonly delivered: number;
  readonly time: Pick<ServerTime, "now" | "toLocal">;
}

/** A line of the log. */
export function messageView(message: MessageRecord, { me, delivered, time }: Sight): MessageView {
  const { key, seq, from, at, body, expiresAt } = message;
  const mine = from === me;
  const state: MessageState = !mine ? "received" : seq <= delivered ? "delivered" : "sent";
  const localExpiry = expiresAt === null ? null : time.toLocal(expiresAt);
  return { key, seq, from, mine, at: time.toLocal(at), body, state, refusal: null, expiresAt: localExpiry };
}

/** A text that is not in the log yet; `undefined` for any other intent. */
export function intentView(intent: IntentRecord, { me, time }: Sight): MessageView | undefined {
  const { id, wish, composedAt, refusal } = intent;
  if (wish?.kind !== "text") return undefined;
  return {
    key: toBase64url(id),
    seq: null,
    from: me,
    mine: true,
    at: time.toLocal(composedAt),
    body: { kind: "text", text: wish.text },
    state: refusal === null ? "waiting" : "failed",
    refusal,
    expiresAt: null,
  };
}
