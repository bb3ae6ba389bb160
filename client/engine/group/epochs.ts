// Owns the passage from one epoch to the next: what becomes past, what is forgotten, which records that writes. Verifies nothing.

import { groupId } from "../../../schemas/ids.ts";
import { PAST_EPOCHS } from "./limits.ts";
import { epochWrites, forgetWrites, headWrite, pastWrite, pendingWrite } from "./records.ts";
import type { Epoch, Group, Live, Pending, Step, Write } from "./state.ts";

/** Enters the epoch that follows the live one; keeps the last few to open late messages. A commit in flight is dropped with its epoch. */
export function advance(group: Group, next: Live): Step {
  const { live } = group;
  if (live === null) return replace(group, next);
  const [kept, fallen] = split([past(live), ...group.past]);
  const writes = [pastWrite(live), ...fallen.flatMap(forgetWrites)];
  return enter(
    { ...group, past: kept },
    { next, writes, spent: [...liveSecrets(live), ...fallen.flatMap(epochSecrets)] },
  );
}

/** Enters an epoch that does not continue the live one (Welcome, external commit): all that was there before is forgotten. */
export function replace(group: Group, next: Live): Step {
  const old: Epoch[] = [...(group.live === null ? [] : [group.live]), ...group.past];
  const spent = [...(group.live === null ? [] : liveSecrets(group.live)), ...old.flatMap(epochSecrets)];
  return enter({ ...group, past: [] }, { next, writes: old.flatMap(forgetWrites), spent });
}

/** This device was removed: forgets every secret and keeps only the epoch, so that no older Welcome can bring it back. */
export function end(group: Group): Step {
  const old: Epoch[] = [...(group.live === null ? [] : [group.live]), ...group.past];
  const ended: Group = { ...group, live: null, past: [], pending: null, ended: (group.live?.number ?? 0) + 1 };
  const writes = [...old.flatMap(forgetWrites), pendingWrite(null), headWrite(idOf(group), ended)];
  const spent = [...(group.live === null ? [] : liveSecrets(group.live)), ...old.flatMap(epochSecrets)];
  return { group: ended, writes, spent };
}

/** Takes a commit into flight, or out of it with null. */
export function withPending(group: Group, pending: Pending | null): Step {
  const next = { ...group, pending };
  const head = group.live === null && group.ended === null ? [headWrite(idOf(group), group)] : [];
  const dropped = pending === null ? group.pending?.next : undefined;
  const spent = dropped === undefined ? [] : [...liveSecrets(dropped), ...epochSecrets(dropped)];
  return { group: next, writes: [...head, pendingWrite(pending)], spent };
}

/** MLS group_id of a group. */
export function idOf({ conversation, generation }: Pick<Group, "conversation" | "generation">): Uint8Array {
  return groupId(conversation, generation);
}

function enter(group: Group, { next, writes, spent }: { next: Live; writes: Write[]; spent: Uint8Array[] }): Step {
  const entered: Group = { ...group, live: next, pending: null, ended: null };
  const all = [...writes, pendingWrite(null), ...epochWrites(next), headWrite(idOf(group), entered)];
  // One write per key, the last one: the epoch entered may carry the number of one that is forgotten
  return { group: entered, writes: [...new Map(all.map((write) => [write.key, write])).values()], spent };
}

function past(live: Live): Epoch {
  const { number, context, tree, senderDataSecret, ratchets } = live;
  return { number, context, tree, senderDataSecret, ratchets };
}

function split(epochs: readonly Epoch[]): [Epoch[], Epoch[]] {
  return [epochs.slice(0, PAST_EPOCHS), epochs.slice(PAST_EPOCHS)];
}

/** All that only the live epoch needs. Its private keys may live on in the next epoch, so they are left to the garbage collector. */
function liveSecrets({ keySchedule }: Live): Uint8Array[] {
  const { senderDataSecret: _, ...rest } = keySchedule;
  return Object.values(rest);
}

function epochSecrets({ senderDataSecret, ratchets }: Epoch): Uint8Array[] {
  const secrets = [senderDataSecret];
  for (const slot of Object.values(ratchets)) {
    secrets.push(slot.application.secret, ...Object.values(slot.application.unusedGenerations));
  }
  return secrets;
}
