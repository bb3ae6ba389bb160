// Owns what a conversation object is put together from, and what it asks of mailboxes. No behaviour of its own.

import type { DeviceId, MemberId } from "../../schemas/ids.ts";
import type { Alarm } from "../alarm.ts";
import type { Effects } from "../effects.ts";
import type { Charter } from "./charter.ts";
import type { Log } from "./log.ts";
import type { Resets } from "./resets.ts";
import type { Roster } from "./roster.ts";
import type { Sockets } from "./sockets.ts";

/** What is to be done at the mailbox of `member`. */
export type MailboxEffect = { readonly member: MemberId } & (
  | { readonly kind: "nudge"; readonly seq: number }
  | { readonly kind: "removed" }
  | {
      readonly kind: "welcome";
      readonly devices: readonly DeviceId[];
      /** Of the group. */
      readonly generation: number;
      readonly seq: number;
      readonly hash: Uint8Array;
    }
);

export interface Parts {
  readonly storage: DurableObjectStorage;
  readonly charter: Charter;
  readonly log: Log;
  readonly roster: Roster;
  readonly resets: Resets;
  readonly sockets: Sockets;
  readonly effects: Effects<MailboxEffect>;
  readonly alarm: Alarm;
}
