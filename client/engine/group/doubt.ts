// Owns telling whether the server keeps another group than this device is in: two commits for one epoch, shown to two halves. Changes nothing.

import { encodeGroupContext } from "ts-mls/groupContext.js";
import { equalBytes } from "../../../schemas/bytes.ts";
import { readMessage } from "./frame.ts";
import { MAX_BYTES } from "./limits.ts";
import type { Group } from "./state.ts";

/** Whether a GroupInfo describes the live epoch of this group, and describes it otherwise than it is here. */
export function contradicts(group: Group, groupInfo: Uint8Array): boolean {
  const { live } = group;
  const message = readMessage(groupInfo, { format: "mls_group_info", limit: MAX_BYTES.groupInfo });
  if (live === null || message === undefined) return false;
  const { groupContext } = message.groupInfo;
  if (!equalBytes(groupContext.groupId, live.context.groupId) || groupContext.epoch !== live.context.epoch)
    return false;
  return !equalBytes(encodeGroupContext(groupContext), encodeGroupContext(live.context));
}
