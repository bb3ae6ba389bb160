// Owns the passage of a conversation from one generation of its group to the next on this device: what an envelope is to it, entering the
// groups this device was welcomed to, each once the one before has been read to its end, and leaving nothing of the old one behind.

import { equalBytes, toBase64url } from "../../schemas/bytes.ts";
import { readCommit } from "../../schemas/envelope.ts";
import type { Envelope } from "../../schemas/frames.ts";
import { type Draft, groupPrefix } from "./draft.ts";
import { end } from "./group/epochs.ts";
import { peek } from "./group/group.ts";
import { type Step, sameDevice } from "./group/state.ts";
import { present, reseal } from "./intake.ts";
import type { Ledger } from "./ledger.ts";
import type { Linked } from "./log-proof.ts";
import type { Successor } from "./records.ts";
import type { Notice } from "./view.ts";

/**
 * What an envelope is to this device: `none` unless it begins a generation otherwise than by this device's own reset. Then this device was
 * welcomed to it (`entered`), is still to be (`welcomed`), or was left out (`without`).
 */
export type Passage = "none" | "entered" | "welcomed" | "without";

/** What one envelope is to the succession of generations. */
export function passageAt(ledger: Ledger, { id, seq, bytes }: Envelope): Passage {
  const { record, group, outbox, surroundings } = ledger;
  if (record.successors?.[0]?.seq === seq) return "entered";
  const seen = bytes === null ? undefined : peek(bytes);
  if (bytes === null || seen?.kind !== "commit" || seen.epoch !== 0 || seen.generation === 0) return "none";
  const own = outbox.find(id)?.sealed?.bytes;
  if (own !== undefined && equalBytes(own, bytes)) return "none";
  if (group?.live != null && group.generation >= seen.generation) return "none";
  const isNamed = readCommit(bytes)?.added.some((device) => sameDevice(device, surroundings.context.me)) ?? false;
  return isNamed ? "welcomed" : "without";
}

/** Goes through a passage; false when this device was welcomed to another log than this one. */
export async function pass(
  ledger: Ledger,
  draft: Draft,
  { linked: { envelope, hash }, passage }: { linked: Linked; passage: Passage },
): Promise<boolean> {
  // Nothing of the old generation is accepted after this, and all that was has been taken in
  reseal(draft, ledger.outbox);
  if (passage !== "entered") {
    stayOutside(draft, envelope);
    return true;
  }
  show(draft, envelope, { kind: "renewed" });
  const [next, ...later] = draft.record.successors ?? [];
  if (next === undefined || !equalBytes(next.hash, hash)) return false;
  const group = await ledger.read(next.generation);
  const before = draft.record.members;
  const successors = later.filter(({ generation }) => generation > next.generation);
  draft.set({ successors, absent: before });
  await succeed(ledger, draft, next.generation);
  draft.group = group;
  const { members, absent } = present(draft);
  draft.set({ members, absent, generation: next.generation, lost: group?.live == null, soughtAt: null, outside: null });
  const added = members.filter((member) => !before.includes(member));
  if (added.length > 0) show(draft, envelope, { kind: "added", members: added });
  return true;
}

/** Keeps a group this device was welcomed to until it is entered: what comes before can still be read in an earlier one. */
export async function lay(
  ledger: Ledger,
  draft: Draft,
  { joined, seq, hash }: { joined: Step; seq: number; hash: Successor["hash"] },
): Promise<void> {
  const { generation } = joined.group;
  const before = draft.record.successors ?? [];
  const others = before.filter((next) => next.generation !== generation);
  // Out of that generation and in it again, before this device has come to either: it goes by the later welcome
  if (others.length < before.length) await forget(ledger, draft, generation);
  draft.lay(joined);
  const successors = [...others, { generation, seq, hash }].sort((a, b) => a.seq - b.seq);
  draft.set({ successors, known: Math.max(draft.record.known, seq) });
}

/** One line for a generation this device is not in; none where the last one says already that something may be missing from there on. */
function stayOutside(draft: Draft, envelope: Envelope): void {
  draft.set({ lost: true });
  if (draft.record.outside?.missedAt != null) return;
  const { id, seq, acceptedAt: at } = envelope;
  show(draft, envelope, { kind: "renewed" });
  draft.set({ outside: { line: { key: `${toBase64url(id)}.renewed`, seq, at }, missedAt: null } });
}

function show(draft: Draft, { id, seq, acceptedAt: at }: Envelope, body: Notice): void {
  draft.line({ key: `${toBase64url(id)}.${body.kind}`, seq, from: null, at, body, expiresAt: null });
}

/** Leaves nothing of any generation before `generation` behind. */
export async function succeed(ledger: Ledger, draft: Draft, generation: number): Promise<void> {
  const { id, group, surroundings } = ledger;
  if (group !== null && group.generation !== generation) draft.spent.push(...end(group).spent);
  const kept = [generation, ...(draft.record.successors ?? []).map((next) => next.generation)];
  const prefixes = kept.map((one) => groupPrefix({ conversation: id, generation: one }));
  for (const { key } of await surroundings.store.scan("groups", { prefix: `${id}/` })) {
    if (!prefixes.some((prefix) => key.startsWith(prefix))) draft.batch.delete("groups", key);
  }
}

async function forget({ id, surroundings }: Ledger, draft: Draft, generation: number): Promise<void> {
  const prefix = groupPrefix({ conversation: id, generation });
  for (const { key } of await surroundings.store.scan("groups", { prefix })) draft.batch.delete("groups", key);
}
