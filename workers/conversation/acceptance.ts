// Owns the critical block of a conversation: deciding over sends and commits in the order of their arrival, storing what is accepted and
// telling everybody, without an await in between. Knows no wire format of requests.

import type { CommitFrame, Envelope, SendFrame, ServerFrame } from "../../schemas/frames.ts";
import type { DeviceId, MemberId } from "../../schemas/ids.ts";
import { isRefusal, Refusal } from "../../schemas/refusal.ts";
import { traceBug } from "../trace.ts";
import { encodeEnvelopes } from "./envelopes-bytes.ts";
import { acceptCommit, acceptSend, type Standing } from "./order.ts";
import type { MailboxEffect, Parts } from "./parts.ts";
import type { Receipts } from "./receipts.ts";
import type { RosterSeat } from "./roster.ts";
import type { Session } from "./sockets.ts";

/** One send or commit and the session it came by. */
export interface Asked {
  readonly session: Session;
  readonly frame: SendFrame | CommitFrame;
}

/** What becomes of everything that was decided together. */
interface Round {
  readonly now: number;
  readonly envelopes: Envelope[];
  readonly answers: { readonly session: Session; readonly frame: ServerFrame }[];
}

/** The acceptance of one conversation. */
export class Acceptance {
  readonly #parts: Parts;
  readonly #receipts: Receipts;

  constructor(parts: Parts, receipts: Receipts) {
    this.#parts = parts;
    this.#receipts = receipts;
  }

  /** Decides over everything asked, in order: one transaction, one frame for everybody, one answer for whoever is not answered by that frame. */
  decide(asked: readonly Asked[]): void {
    const round: Round = { now: Date.now(), envelopes: [], answers: [] };
    try {
      this.#parts.storage.transactionSync(() => {
        for (const item of asked) this.#decideOne(item, round);
        if (round.envelopes.length > 0) this.nudge(this.#unaware(), round.now);
      });
    } catch (error) {
      this.#undo(asked, error);
      return;
    }
    if (round.envelopes.length > 0) this.#tell(round);
    for (const { session, frame } of round.answers) this.#parts.sockets.send(session, frame);
  }

  /** Writes down that these devices' mailboxes are to be told of news; once until the device comes here. */
  nudge(seats: readonly RosterSeat[], now: number): void {
    if (seats.length === 0) return;
    const { roster, effects, log } = this.#parts;
    for (const seat of seats) roster.setNudged(seat, true);
    const members = new Set(seats.map(({ member }) => member));
    effects.add(
      [...members].map((member) => ({ kind: "nudge", member, seq: log.head.seq }) as const),
      now,
    );
  }

  /** Carries out at once what was written down; the alarm sees to what fails. */
  carryOut(now: number): void {
    const { effects, alarm } = this.#parts;
    const due = effects.dueAt();
    if (due !== null) alarm.by(due);
    void effects.run(now);
  }

  /** All that decides what is accepted next, as it stands. */
  #standing(): Standing {
    const { charter, log, roster } = this.#parts;
    const { tenant, conversation } = charter.founding;
    const { generation, epoch } = log.head;
    const { seats, leafOf, participants, expelled, pending } = roster;
    const group = charter.groupId(generation);
    return { tenant, conversation, generation, groupId: group, epoch, seats, leafOf, participants, expelled, pending };
  }

  #decideOne({ session, frame }: Asked, round: Round): void {
    try {
      const envelope = frame.type === "send" ? this.#send(session, frame, round) : this.#commit(session, frame, round);
      round.envelopes.push(envelope);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      round.answers.push({ session, frame: this.#resent(frame) ?? refused(frame.id, error) });
    }
  }

  /** The answer to what is stored already, whatever the rules say of it now; `undefined` for a new id. */
  #resent({ id, bytes }: Asked["frame"]): ServerFrame | undefined {
    try {
      const seq = this.#parts.log.known(id, bytes);
      return seq === undefined ? undefined : { type: "accepted", id, seq };
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return refused(id, error);
    }
  }

  #send(session: Session, { id, bytes, expiresIn }: SendFrame, { now }: Round): Envelope {
    acceptSend(this.#standing(), session, bytes);
    this.#checkRoom();
    const life = this.#life(expiresIn);
    const acceptedAt = this.#parts.log.acceptedAt(now);
    return this.#parts.log.append({ id, bytes, acceptedAt, expiresAt: life === null ? null : acceptedAt + life });
  }

  #commit(session: Session, frame: CommitFrame, { now }: Round): Envelope {
    const { log, roster, resets, effects } = this.#parts;
    const change = acceptCommit(this.#standing(), session, frame);
    const isReset = change.generation !== log.head.generation;
    if (isReset) resets.take(session.member, now);
    this.#checkRoom();
    const acceptedAt = log.acceptedAt(now);
    const envelope = log.append({ id: frame.id, bytes: frame.bytes, acceptedAt, expiresAt: null });
    log.enter(change, frame.groupInfo);
    if (isReset) roster.reseat(change, envelope.seq);
    else roster.apply(change, envelope.seq);
    for (const { devices, bytes } of frame.welcomes) effects.add(welcomes(devices, log.head), now, bytes);
    return envelope;
  }

  /** @throws {Refusal} quota — before anything is written that would not fit */
  #checkRoom(): void {
    if (this.#parts.log.full) throw new Refusal("quota");
  }

  /** How long a message is to live, in ms; null until retention. @throws {Refusal} expiry_out_of_policy */
  #life(wanted: number | undefined): number | null {
    const { minExpiry, maxExpiry, defaultExpiry } = this.#parts.charter.policy;
    if (wanted === undefined) return defaultExpiry;
    if (wanted < minExpiry || wanted > maxExpiry)
      throw new Refusal("expiry_out_of_policy", { min: minExpiry, max: maxExpiry });
    return wanted;
  }

  /** Devices of the group that are not connected and do not know yet that something is new. */
  #unaware(): RosterSeat[] {
    const { roster, sockets } = this.#parts;
    return roster.select(({ device, nudged, pending }) => !pending && !nudged && !sockets.has(device));
  }

  #tell({ now, envelopes }: Round): void {
    const { sockets, log } = this.#parts;
    const { seq: head, hash } = log.head;
    const delivered = this.#receipts.piggyBack();
    const frame = encodeEnvelopes({ type: "envelopes", envelopes, hash, head, delivered, now });
    sockets.tell({ frame, head, sizes: envelopes.map(({ bytes }) => bytes?.length ?? 0), now });
    this.#provide(envelopes, now);
  }

  /** Sees to it that what was stored is swept in time and that effects are carried out. */
  #provide(envelopes: readonly Envelope[], now: number): void {
    const { alarm, charter } = this.#parts;
    const { retention } = charter.policy;
    for (const { acceptedAt, expiresAt } of envelopes)
      alarm.by(Math.min(expiresAt ?? Number.POSITIVE_INFINITY, acceptedAt + retention));
    this.carryOut(now);
  }

  /** Nothing of the round was stored, so nothing of it may stay in memory. */
  #undo(asked: readonly Asked[], error: unknown): void {
    const reference = traceBug("acceptance", error);
    this.#parts.log.reload();
    this.#parts.roster.reload();
    const refusal = new Refusal("internal", { reference });
    for (const { session, frame } of asked) this.#parts.sockets.send(session, refused(frame.id, refusal));
  }
}

/** The frame that says no. */
export function refused(id: Uint8Array | null, { code, detail }: Pick<Refusal, "code" | "detail">): ServerFrame {
  return { type: "refused", id: id as Uint8Array<ArrayBuffer> | null, code, detail: detail as Record<string, string> };
}

/** One effect per member, for all of its devices. */
function welcomes(
  devices: readonly { readonly member: MemberId; readonly device: DeviceId }[],
  { generation, seq, hash }: { readonly generation: number; readonly seq: number; readonly hash: Uint8Array },
): MailboxEffect[] {
  const byMember = Map.groupBy(devices, ({ member }) => member);
  return [...byMember].map(([member, of]) => ({
    kind: "welcome",
    member,
    devices: of.map(({ device }) => device),
    generation,
    seq,
    hash,
  }));
}
