// Owns making the first commit of a new generation of a conversation: a group that nobody but its maker has ever been in. Sends nothing.

import type { ConversationId } from "../../../schemas/ids.ts";
import { type Addition, type CommitRefused, type Committed, commit } from "./commit.ts";
import { end, withPending } from "./epochs.ts";
import { createGroup, emptyGroup } from "./group.ts";
import type { Context } from "./state.ts";

/**
 * Makes a group of this device alone and the commit that brings in `add`, or nobody. Like a commit it changes nothing until it comes back;
 * of epoch 0, in which nobody ever speaks, nothing is kept. `now` in ms.
 */
export async function beginAnew(order: {
  context: Context;
  conversation: ConversationId;
  generation: number;
  add: readonly Addition[];
  now: number;
}): Promise<Committed | CommitRefused> {
  const { group: alone } = await createGroup(order);
  const made = await commit(alone, order);
  if (made.kind === "refused") return made;
  return { ...made, ...withPending(emptyGroup(order), made.group.pending), spent: end(alone).spent };
}
