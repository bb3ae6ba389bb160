// Owns entering a conversation by a welcome from the mailbox: the key package it is for, the poison mark, the first line. One write.

import { encodeCbor } from "../../schemas/cbor.ts";
import type { WelcomeItem } from "../../schemas/frames.ts";
import type { MemberId } from "../../schemas/ids.ts";
import type { Draft } from "./draft.ts";
import { type Joined, join, welcomeRefs } from "./group/join.ts";
import { present, reseal } from "./intake.ts";
import type { KeyStock } from "./key-stock.ts";
import type { Ledger } from "./ledger.ts";
import { Heads } from "./log-proof.ts";
import type { ConversationRecord } from "./records.ts";
import { lay, succeed } from "./succession.ts";

/** `out`: this welcome leads nowhere, and the device is not in the conversation otherwise. `unproven`: the key log must be asked about somebody first. */
export type Entered = "in" | "out" | "unproven";

/** Tries to enter within a turn of the ledger. `looked`: the key log has been read since the welcome came. */
export async function enter(
  ledger: Ledger,
  { item, stock, looked }: { item: WelcomeItem; stock: KeyStock; looked: boolean },
): Promise<Entered> {
  const { surroundings, record } = ledger;
  const isIn = record.state === "active" && !record.lost;
  const mark = `welcome/${item.conversation}/${item.n}`;
  // Whatever killed the engine last time is not looked at again: the device lets itself in instead
  if ((await surroundings.store.get("quarantine", mark)) !== undefined) return isIn ? "in" : "out";
  await surroundings.store.write([{ table: "quarantine", key: mark, value: encodeCbor(item.seq) }]);
  const joined = await tryJoin(ledger, { item, stock });
  const draft = ledger.draft();
  draft.batch.delete("quarantine", mark);
  if (joined === "nowhere" || joined === "untrusted") {
    const mayPass = joined === "untrusted" && !looked;
    if (!mayPass && !isIn && record.generation !== null && record.state !== "ended") draft.set({ lost: true });
    await ledger.save(draft);
    return mayPass ? "unproven" : isIn ? "in" : "out";
  }
  stock.use(joined, draft.batch);
  const { generation } = joined.group;
  const isAhead = record.state === "active" && item.seq > record.cursor;
  if (isAhead && ledger.group?.live != null && ledger.group.generation < generation) {
    // What came before can still be read in the group this device is in
    await lay(ledger, draft, { joined, seq: item.seq, hash: item.hash });
    await ledger.save(draft);
    return "in";
  }
  draft.step(joined);
  reseal(draft, ledger.outbox);
  const isOther = record.generation !== null && record.generation !== generation;
  // A generation this device tried to begin itself, and somebody else did, is another one too
  const goesOn = record.state === "active" && record.generation !== null && (isOther || ledger.group?.live == null);
  const successors = (record.successors ?? []).filter((next) => next.generation > generation && next.seq > item.seq);
  draft.set({ successors, absent: goesOn ? record.members : [] });
  if (isOther) await succeed(ledger, draft, generation);
  const { members, absent } = present(draft);
  const { member: me } = surroundings.context.me;
  draft.set({
    state: "active",
    founded: true,
    lost: false,
    soughtAt: null,
    outside: null,
    generation,
    cursor: item.seq,
    reached: Math.max(record.reached ?? 0, record.cursor),
    hash: item.hash,
    known: Math.max(record.known, item.seq),
    members,
    absent,
    kind: kindOf(record, members),
    activeAt: surroundings.time.now(),
  });
  readAfterAll(draft, { item, before: record });
  tell(draft, { item, before: record, goesOn, me, by: joined.by.member, at: surroundings.time.now() });
  draft.missed = true;
  draft.afterwards(() => {
    ledger.heads = new Heads([[item.seq, item.hash]]);
  });
  await ledger.save(draft);
  return "in";
}

/** What was missed of the generation this welcome is to is read now: nothing is said to be missing there. */
function readAfterAll(draft: Draft, { item, before }: { item: WelcomeItem; before: ConversationRecord }): void {
  const { line, missedAt = null } = before.outside ?? {};
  if (line === undefined || line.seq !== item.seq) return;
  if (missedAt !== null) draft.erase(missedAt);
  draft.line({ ...line, from: null, body: { kind: "renewed" }, expiresAt: null });
}

/** Says who has come: this device's member, unless it never was away, and whoever is new to it in a generation that it goes on in. */
function tell(
  draft: Draft,
  told: {
    readonly item: WelcomeItem;
    readonly before: ConversationRecord;
    readonly goesOn: boolean;
    readonly me: MemberId;
    readonly by: MemberId;
    readonly at: number;
  },
): void {
  const { item, before, goesOn, me, by, at } = told;
  const { seq } = item;
  const isBack = before.members.includes(me) && before.state === "active";
  if (!isBack) draft.remark({ kind: "added", members: [me] }, { from: by, at });
  if (!goesOn) return;
  const members = draft.record.members.filter((member) => !before.members.includes(member));
  if (members.length > 0) {
    draft.line({ key: `added.${seq}`, seq, from: null, at, body: { kind: "added", members }, expiresAt: null });
  }
  // The beginning of the generation is not taken in any more where it is jumped over
  if (seq > before.cursor) draft.remark({ kind: "renewed" }, { from: null, at });
}

function kindOf({ kind, title }: ConversationRecord, members: readonly MemberId[]): ConversationRecord["kind"] {
  if (kind === "self") return kind;
  return members.length === 2 && title === null ? "direct" : "group";
}

async function tryJoin(
  { group, id, surroundings }: Ledger,
  { item, stock }: { item: WelcomeItem; stock: KeyStock },
): Promise<Joined | "nowhere" | "untrusted"> {
  for (const ref of welcomeRefs(item.bytes) ?? []) {
    const keyPackage = await stock.privateRecord(ref);
    if (keyPackage === undefined) continue;
    const { context } = surroundings;
    const outcome = await join({
      welcome: item.bytes,
      keyPackage,
      context,
      conversation: id,
      ...(group !== null && { known: group }),
    });
    if (outcome.kind === "joined") return outcome;
    if (outcome.reason === "untrusted") return outcome.reason;
    surroundings.fault("welcome", new Error(outcome.reason));
  }
  return "nowhere";
}
