// Owns why nothing may be said in a conversation for now, although the server would take it. Holds nothing back itself.

import type { MemberId } from "../../schemas/ids.ts";
import { roster } from "./group/group.ts";
import type { Ledger } from "./ledger.ts";
import type { HoldView } from "./view.ts";

/** Who of a ratchet tree is out by the log of a size: looked up once, not for every message. */
const checked = new WeakMap<object, { readonly size: number; readonly out: readonly MemberId[] }>();

/**
 * Why nothing is sent; null when nothing keeps it. A verified key that has changed comes first, since a person can do something about it. Devices
 * that the key log says are out are only seen once the group has been read.
 */
export function holdOf(ledger: Ledger): HoldView | null {
  const { keys } = ledger.surroundings;
  const changed = keys.blocking(ledger.record.members);
  if (changed.length > 0) return { reason: "changed", members: changed };
  const out = membersOut(ledger);
  return out.length > 0 ? { reason: "leaving", members: out } : null;
}

function membersOut({ group, surroundings: { keys } }: Ledger): readonly MemberId[] {
  const tree = group?.live?.tree;
  if (group === null || tree === undefined) return [];
  const { size } = keys.head;
  const before = checked.get(tree);
  if (before?.size === size) return before.out;
  const out = roster(group).filter(({ device }) => keys.isOut(device));
  const known = { size, out: [...new Set(out.map(({ member }) => member))] };
  checked.set(tree, known);
  return known.out;
}
