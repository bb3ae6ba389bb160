// Owns what one envelope means: opens it, checks it against what others saw, and works out lines, settings and people from it.
// Everything that comes in here is hostile until proven otherwise, and nothing of it throws. Writes nothing itself.

import { equalBytes, toBase64url } from "../../schemas/bytes.ts";
import { type Content, decodeContent } from "../../schemas/content.ts";
import type { Envelope } from "../../schemas/frames.ts";
import type { DeviceId, MemberId } from "../../schemas/ids.ts";
import type { Draft } from "./draft.ts";
import { peek, roster } from "./group/group.ts";
import { type Outcome, open } from "./group/open.ts";
import { type Change, type Device, sameDevice } from "./group/state.ts";
import type { LogHead } from "./key-log.ts";
import type { Heads } from "./log-proof.ts";
import type { Outbox } from "./outbox.ts";
import { type ConversationRecord, type IntentRecord, type MessageRecord, overlaid, type Wish } from "./records.ts";
import { weighTestimony } from "./testimony.ts";

/** What intake needs to know besides the draft it works on. */
export interface Reading {
  readonly outbox: Outbox;
  readonly heads: Heads;
  readonly me: MemberId;
  readonly device: DeviceId;
  /** The server's time now. */
  readonly now: number;
  /** How long messages live unless told otherwise, in ms; null until retention. */
  readonly defaultExpiry: number | null;
  /** This envelope was being taken in when the engine died, more than once. */
  readonly quarantined: boolean;
  /** The key log has been read since this envelope came in: whom it does not have now, it does not have. */
  readonly looked: boolean;
  /** Told which head of the key log a member says it has seen. */
  readonly heard: (head: LogHead, from: MemberId) => void;
  /** Told when a message of the live epoch cannot be opened: others may be in another group. */
  readonly doubt: () => void;
  /** Messages that were opened ahead, by seq; the draft has taken their step. */
  readonly opened: ReadonlyMap<number, Outcome>;
}

/** `broken`: there is another log than the one this device sees. `unproven`: somebody enters whom the key log has to be asked about first. */
export type Verdict = "taken" | "broken" | "unproven";

/** Takes one envelope into the draft; its place in the log has been proven before. */
export async function takeIn(draft: Draft, envelope: Envelope, reading: Reading): Promise<Verdict> {
  const { bytes } = envelope;
  const own = reading.outbox.find(envelope.id);
  if (bytes === null) {
    if (own !== undefined) retire(draft, own, reading.outbox);
    draft.missed ||= own === undefined;
    return "taken";
  }
  if (own?.sealed != null && own.sealed.commit === null && equalBytes(own.sealed.bytes, bytes)) {
    takeOwn(draft, { envelope, own, reading });
    return "taken";
  }
  const isOwnReturn = isWayBack(own?.wish) && own?.sealed != null && equalBytes(own.sealed.bytes, bytes);
  if (draft.group === null || (draft.record.lost && !isOwnReturn)) {
    if (peek(bytes)?.kind === "application") miss(draft, envelope);
    return "taken";
  }
  const outcome = reading.opened.get(envelope.seq) ?? (await openOne(draft, envelope, reading.quarantined));
  // A way back that leads nowhere is given up, not sent for ever: the next one is made from where the group stands then
  if (isOwnReturn && own !== undefined && outcome.kind !== "epoch") retire(draft, own, reading.outbox);
  return weigh(draft, { outcome, envelope, own, reading });
}

/** Something was said in a generation this device is not in: what says so takes the place of the line about its beginning. */
function miss(draft: Draft, envelope: Envelope): void {
  const { outside } = draft.record;
  if (outside == null || outside.missedAt !== null) return;
  draft.erase(outside.line.seq);
  notice(draft, envelope, { from: null, body: { kind: "missed" } });
  draft.set({ outside: { ...outside, missedAt: envelope.seq } });
}

async function openOne(draft: Draft, { bytes, acceptedAt }: Envelope, quarantined: boolean): Promise<Outcome> {
  if (draft.group === null || bytes === null) return { kind: "skipped", reason: "not_in_group" };
  const { outcome, ...step } = await open(draft.group, bytes, { acceptedAt, quarantined });
  draft.step(step);
  return outcome;
}

function weigh(
  draft: Draft,
  read: { outcome: Outcome; envelope: Envelope; own: IntentRecord | undefined; reading: Reading },
): Verdict {
  const { outcome, envelope, own, reading } = read;
  if (outcome.kind === "message") {
    const content = decodeContent(outcome.plaintext);
    if (content === undefined || (content.type === "marks") !== (draft.record.kind === "self")) {
      notice(draft, envelope, { from: outcome.sender.member, body: { kind: "unreadable" } });
      return "taken";
    }
    if (outcome.sender.device === reading.device) takeForgotten(draft, own, reading);
    const { member } = outcome.sender;
    const said = { seen: content.seen, seq: envelope.seq, from: member };
    const { verdict, doubts } = weighTestimony(draft.record.doubts ?? [], said, reading);
    if (verdict === "forked") return "broken";
    draft.set({ doubts });
    draft.afterwards(() => reading.heard(content.keys, member));
    if (content.type === "text") takeText(draft, { content, envelope, from: member, reading });
    else if (content.type === "marks") draft.heard.push(content);
    else takeSettings(draft, { content, envelope, from: member });
    if (verdict === "doubtful") notice(draft, envelope, { from: member, body: { kind: "contradicted" } });
  } else if (outcome.kind === "epoch") {
    takeChange(draft, { outcome, envelope, own, reading });
    if (outcome.own && own !== undefined) fulfil(draft, { own, envelope, reading });
  } else if (outcome.kind === "unreadable") {
    if (outcome.reason === "untrusted" && !reading.looked) return "unproven";
    const follows =
      outcome.reason !== "future_epoch" && outcome.reason !== "other_group" && !isCommitOf(draft, envelope);
    if (!follows) draft.set({ lost: true });
    else {
      notice(draft, envelope, { from: null, body: { kind: "unreadable" } });
      draft.afterwards(reading.doubt);
    }
  }
  return "taken";
}

/** This device once sent it, but its store does not know: it is an older copy, and there may be more of it that has been destroyed since. */
function takeForgotten(draft: Draft, own: IntentRecord | undefined, { outbox }: Reading): void {
  draft.set({ outdated: true });
  if (own !== undefined) retire(draft, own, outbox);
}

/** The own message came back: what was waiting becomes a line with its place in the log. */
function takeOwn(
  draft: Draft,
  { envelope, own, reading }: { envelope: Envelope; own: IntentRecord; reading: Reading },
): void {
  const { wish } = own;
  const { me, outbox } = reading;
  if (wish?.kind === "text") takeText(draft, { content: wish, envelope, from: me, reading });
  else if (wish?.kind === "settings") {
    takeSettings(draft, { content: overlaid(draft.record, [wish]), envelope, from: me });
  }
  retire(draft, own, outbox);
}

function takeText(
  draft: Draft,
  read: {
    content: Pick<Extract<Content, { type: "text" }>, "text" | "expiresIn">;
    envelope: Envelope;
    from: MemberId;
    reading: Reading;
  },
): void {
  const { content, envelope, from, reading } = read;
  const expiresAt = earliest(
    envelope.expiresAt,
    content.expiresIn === null ? null : envelope.acceptedAt + content.expiresIn,
  );
  if (expiresAt !== null && expiresAt <= reading.now) return;
  const { id, seq, acceptedAt } = envelope;
  const message: MessageRecord = {
    key: toBase64url(id),
    seq,
    from,
    at: acceptedAt,
    body: { kind: "text", text: content.text },
    expiresAt,
  };
  draft.line(message);
  const last = { key: message.key, from, text: content.text, at: acceptedAt };
  draft.set({ last, activeAt: Math.max(draft.record.activeAt, acceptedAt) });
  if (from === reading.me) return;
  // Another device of this member may have been faster
  if (seq > draft.record.readTo) draft.set({ unread: draft.record.unread + 1 });
  draft.arrived.push(message);
}

/** Shows only what is new: every newcomer is told the settings again. */
function takeSettings(
  draft: Draft,
  read: { content: { title: string | null; expiresIn: number | null }; envelope: Envelope; from: MemberId },
): void {
  const { content, envelope, from } = read;
  const { title, expiresIn } = content;
  const { record } = draft;
  if (record.introduced && title !== record.title) notice(draft, envelope, { from, body: { kind: "titled", title } });
  if (record.introduced && expiresIn !== record.expiresIn) {
    notice(draft, envelope, { from, body: { kind: "timer", expiresIn } });
  }
  // A newcomer of two cannot tell a talk from a small group before this
  draft.set({ title, expiresIn, introduced: true, ...(title !== null && { kind: "group" as const }) });
}

function takeChange(
  draft: Draft,
  read: {
    outcome: Extract<Outcome, { kind: "epoch" }>;
    envelope: Envelope;
    own: IntentRecord | undefined;
    reading: Reading;
  },
): void {
  const { outcome, envelope, own, reading } = read;
  const { change, selfRemoved } = outcome;
  const before = draft.record.members;
  if (selfRemoved) {
    draft.set({ members: before.filter((member) => member !== reading.me), state: "ended", unread: 0 });
  } else draft.set(present(draft));
  if (outcome.own && isWayBack(own?.wish)) {
    draft.set({ lost: false, soughtAt: null, outside: null, state: "active" });
    draft.missed = true;
  }
  const isReset = outcome.own && own?.wish?.kind === "reset";
  if (isReset) notice(draft, envelope, { from: null, body: { kind: "renewed" } });
  const { members } = draft.record;
  if (members.length > 2) draft.set({ kind: "group" });
  const added = members.filter((member) => !before.includes(member));
  const removed = before.filter((member) => !members.includes(member));
  // Whoever begins anew brings in whom somebody else wanted in
  const from = isReset ? null : addedBy(change);
  // Who begins anew what never began has nobody to compare with
  if (added.length > 0 && !(isReset && before.length === 0))
    notice(draft, envelope, { from, body: { kind: "added", members: added } });
  // Whoever is online first commits a removal out, so the committer says nothing about who wanted it
  if (removed.length > 0) notice(draft, envelope, { from: null, body: { kind: "removed", members: removed } });
  reseal(draft, reading.outbox, envelope.id);
  // Whoever let itself in was told nothing by whoever wanted it in; of the others, the one on the first leaf makes up for that
  const first = members.find((member) => !added.includes(member) && member !== change.by.member);
  if (change.external && first === reading.me && (added.length > 0 || isAlone(draft, change.by))) {
    introduce(draft, reading);
  }
}

/** Nobody in the group has the same identity key, so nobody can have handed over what a device has to know. */
function isAlone({ group }: Draft, by: Device): boolean {
  const peers = group === null ? [] : roster(group);
  return !peers.some((peer) => equalBytes(peer.identityKey, by.identityKey) && !sameDevice(peer, by));
}

function addedBy(change: Change): MemberId | null {
  return change.external ? null : change.by.member;
}

/** The own commit took effect: the wish is fulfilled, and newcomers are told what they must know. */
function fulfil(
  draft: Draft,
  { own, envelope, reading }: { own: IntentRecord; envelope: Envelope; reading: Reading },
): void {
  retire(draft, own, reading.outbox);
  // Nobody was ever told anything in a conversation that begins with a reset
  const { seq } = envelope;
  if (own.wish?.kind === "reset" && seq === 1) draft.set({ introduced: true, expiresIn: reading.defaultExpiry });
  if (own.wish?.kind === "add" || (own.wish?.kind === "reset" && draft.record.introduced)) introduce(draft, reading);
}

/** Tells newcomers title and timer. */
function introduce(draft: Draft, { outbox, now }: Reading): void {
  const settings = outbox.compose({ kind: "settings" }, now);
  draft.intend(settings);
  draft.afterwards(() => outbox.put(settings));
}

/**
 * A new epoch began. Whatever was sealed for an earlier one and is still waiting cannot have been accepted, since all of that epoch has
 * been taken in by now: only here may its bytes be given up and a new key be used for the same intent.
 */
export function reseal(draft: Draft, outbox: Outbox, except?: Uint8Array): void {
  for (const intent of outbox.all) {
    if (intent.sealed === null && !isWayBack(intent.wish)) continue;
    if (except !== undefined && equalBytes(intent.id, except)) continue;
    draft.retire(intent);
    if (intent.wish === null || isWayBack(intent.wish)) {
      draft.afterwards(() => outbox.delete(intent));
      continue;
    }
    const open: IntentRecord = { ...intent, sealed: null };
    draft.intend(open);
    draft.afterwards(() => outbox.put(open));
  }
}

function retire(draft: Draft, own: IntentRecord, outbox: Outbox): void {
  draft.retire(own);
  draft.afterwards(() => outbox.delete(own));
}

/** Everybody in the group, then those of before whom this generation of it has yet to let in. */
export function present(draft: Draft): Required<Pick<ConversationRecord, "members" | "absent">> {
  const here = membersOf(draft);
  const absent = (draft.record.absent ?? []).filter((member) => !here.includes(member));
  return { members: [...here, ...absent], absent };
}

/** Whether a wish brings this device back into a group, so that it is made for one state of the group only. */
export function isWayBack(wish: Wish | null | undefined): boolean {
  return wish?.kind === "rejoin" || wish?.kind === "reset";
}

/** The members of the live epoch, in the order of their leaves. */
export function membersOf({ group }: Pick<Draft, "group">): MemberId[] {
  return group === null ? [] : [...new Set(roster(group).map(({ member }) => member))];
}

function isCommitOf({ group }: Draft, { bytes }: Envelope): boolean {
  const seen = bytes === null ? undefined : peek(bytes);
  return seen?.kind === "commit" && seen.epoch === group?.live?.number;
}

function notice(
  draft: Draft,
  { id, seq, acceptedAt }: Envelope,
  { from, body }: Pick<MessageRecord, "from" | "body">,
): void {
  draft.line({ key: `${toBase64url(id)}.${body.kind}`, seq, from, at: acceptedAt, body, expiresAt: null });
}

function earliest(a: number | null, b: number | null): number | null {
  return a === null ? b : b === null ? a : Math.min(a, b);
}
