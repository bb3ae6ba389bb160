// Owns the shell of a conversation: what the Worker and other objects may call, the frames of its sockets, and its alarm. The rules are in
// order, the critical block in acceptance.

import { DurableObject } from "cloudflare:workers";
import { decodeCbor } from "../../schemas/cbor.ts";
import { ClientFrame, decodeFrame, type ServerFrame } from "../../schemas/frames.ts";
import type { ConversationId, DeviceId, MemberId, TenantId } from "../../schemas/ids.ts";
import { LIMITS, type Residency, type Role } from "../../schemas/policy.ts";
import { isRefusal, Refusal } from "../../schemas/refusal.ts";
import { Alarm } from "../alarm.ts";
import { type Claims, readClaims } from "../claims.ts";
import type { Decree } from "../decree.ts";
import { Effects } from "../effects.ts";
import type { Env } from "../env.ts";
import { Rate } from "../rate.ts";
import { assertResidency, mailboxStub } from "../residency.ts";
import { traceBug } from "../trace.ts";
import { acceptUpgrade, refuseUpgrade } from "../upgrade.ts";
import { Acceptance, type Asked, refused } from "./acceptance.ts";
import { Batch } from "./batch.ts";
import { Charter } from "./charter.ts";
import { Log } from "./log.ts";
import type { Who } from "./order.ts";
import { Pages } from "./pages.ts";
import type { MailboxEffect, Parts } from "./parts.ts";
import { Receipts } from "./receipts.ts";
import { Resets } from "./resets.ts";
import { Roster } from "./roster.ts";
import { type Session, Sockets } from "./sockets.ts";
import { dueAt, FORGET_AFTER, sweep } from "./sweeps.ts";

/** So many unreadable frames end a socket. */
const MOST_ERRORS = 20;
/** Who would overtake a refused send of its own is told to wait this long, in ms. */
const OVERTAKING = 500;
/** A page costs as much as so many sends. */
const PAGE_COST = 5;

/** One conversation: its log, who is in it, and the sockets of those who listen. */
export class ConversationObject extends DurableObject<Env> {
  readonly #parts: Parts;
  readonly #receipts: Receipts;
  readonly #acceptance: Acceptance;
  readonly #batch: Batch<Asked>;
  readonly #pages: Pages;
  readonly #rate: Rate;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const { storage } = ctx;
    const { sql } = storage;
    const roster = new Roster(sql);
    const sockets = new Sockets(ctx);
    const effects = new Effects<MailboxEffect>(sql, (effect, parcel) => this.#carry(effect, parcel));
    const alarm = new Alarm(storage, () => dueAt(this.#parts, Date.now()));
    const resets = new Resets(sql);
    this.#parts = { storage, charter: new Charter(sql), log: new Log(sql), roster, resets, sockets, effects, alarm };
    this.#pages = new Pages(this.#parts.log);
    this.#receipts = new Receipts(roster, sockets, () => this.#settled());
    this.#acceptance = new Acceptance(this.#parts, this.#receipts);
    this.#batch = new Batch({
      flush: (asked) => this.#acceptance.decide(asked),
      durable: () => storage.sync(),
      window: () => Math.max(5, sockets.size * 0.05),
    });
    this.#rate = new Rate({ perSecond: Number(env.SENDS_PER_SECOND ?? 50), burst: Number(env.SENDS_BURST ?? 500) });
  }

  /**
   * Founds the conversation with its creator's device on leaf 0. The same again changes nothing.
   * @throws {Refusal} wrong_residency; quota — too many participants; conflict — another device founded it
   */
  found(input: {
    readonly tenant: TenantId;
    readonly residency: Residency;
    readonly conversation: ConversationId;
    readonly creator: Who;
    readonly members: readonly MemberId[];
    readonly decree: Decree;
  }): void {
    const { tenant, residency, conversation, creator, decree } = input;
    const { storage, charter, roster } = this.#parts;
    assertResidency(this.ctx, this.env, residency);
    const members = new Set([creator.member, ...input.members]);
    if (members.size > LIMITS.participants) throw new Refusal("quota");
    storage.transactionSync(() => {
      charter.adopt(decree);
      if (!charter.found({ tenant, residency, conversation, creator })) return;
      for (const member of members) roster.admit(member);
      roster.found({ member: creator.member, device: creator.device });
    });
  }

  /** Lets a member in; its devices come in by a commit. @throws {Refusal} not_found — `by` is not in it; quota — too many participants */
  admit({ by, member }: { readonly by: MemberId; readonly member: MemberId }): void {
    const { roster, effects, log, storage } = this.#home();
    if (!roster.participants.has(by)) throw new Refusal("not_found");
    if (roster.participants.has(member)) return;
    if (roster.participants.size >= LIMITS.participants) throw new Refusal("quota");
    const now = Date.now();
    storage.transactionSync(() => {
      roster.admit(member);
      // A device that nobody can add has to hear of it, to let itself in
      effects.add([{ kind: "nudge", member, seq: log.head.seq }], now);
    });
    this.#acceptance.carryOut(now);
  }

  /**
   * Takes a member out at once: by itself, by the creator, or by an owner or admin of the tenant. Whoever is out already stays out.
   * @throws {Refusal} not_found — `by` is not in it; forbidden — it may not
   */
  dismiss({ by, role, member }: { readonly by: MemberId; readonly role: Role; readonly member: MemberId }): void {
    const { charter, roster, effects, storage } = this.#home();
    if (by !== member) {
      if (!roster.participants.has(by)) throw new Refusal("not_found");
      if (role === "member" && charter.founding.creator.member !== by) throw new Refusal("forbidden");
    }
    if (!roster.participants.has(member)) return;
    this.#batch.flush();
    storage.transactionSync(() => {
      roster.dismiss(member);
      effects.add([{ kind: "removed", member }], Date.now());
    });
    for (const session of [...this.#parts.sockets.all()]) {
      if (session.member === member) this.#parts.sockets.refuse(session.device, "not_found");
    }
    this.#removed();
  }

  /** Shuts a revoked device out at once and for ever. */
  expel({ device }: { readonly member: MemberId; readonly device: DeviceId }): void {
    const { roster, sockets, storage } = this.#home();
    this.#batch.flush();
    storage.transactionSync(() => roster.expel(device));
    sockets.refuse(device, "device_revoked");
    this.#removed();
  }

  /** Goes by what the tenant's herald brings: a policy from the next send on; a suspension closes every socket. @throws {Refusal} wrong_residency */
  adopt({ residency, decree }: { readonly residency: Residency; readonly decree: Decree }): void {
    assertResidency(this.ctx, this.env, residency);
    const { charter, sockets, alarm } = this.#parts;
    // What came before is judged by what held then
    this.#batch.flush();
    if (!charter.adopt(decree)) return;
    if (decree.suspended) for (const { device } of [...sockets.all()]) sockets.refuse(device, "tenant_suspended");
    alarm.rearm();
  }

  /** Opens a device's socket; a refusal is the reason the socket is closed with. */
  override fetch(request: Request): Response {
    const claims = readClaims(request.headers);
    try {
      this.#check(claims);
    } catch (error) {
      return refuseUpgrade(this.#explain(error).code);
    }
    const { 0: client, 1: server } = new WebSocketPair();
    this.#parts.sockets.accept(server, claims);
    return acceptUpgrade(client);
  }

  override webSocketMessage(socket: WebSocket, message: ArrayBuffer | string): void {
    const session = this.#parts.sockets.of(socket);
    if (session === undefined) return;
    try {
      this.#receive(session, message);
    } catch (error) {
      this.#refuse(session, null, error);
    }
  }

  override webSocketClose(socket: WebSocket, code: number, reason: string): void {
    if (socket.readyState !== WebSocket.CLOSED) {
      // These three say how a connection ended and may not be sent
      if ([1005, 1006, 1015].includes(code)) socket.close();
      else socket.close(code, reason);
    }
    this.#left(socket);
  }

  override webSocketError(socket: WebSocket): void {
    this.#left(socket);
  }

  override async alarm(): Promise<void> {
    await this.#parts.alarm.ring(
      async () => {
        // A resend that waits must be recognised before what it repeats is forgotten
        this.#batch.flush();
        sweep(this.#parts, Date.now());
        await this.#parts.effects.run(Date.now());
      },
      (error) => traceBug("sweep", error),
    );
  }

  #receive(session: Session, message: ArrayBuffer | string): void {
    if (typeof message === "string") throw new Refusal("malformed");
    if (message.byteLength > LIMITS.frameBytes) throw new Refusal("too_large");
    const bytes = new Uint8Array(message);
    const frame = decodeFrame(ClientFrame, bytes);
    if (frame === undefined) this.#refuse(session, idIn(bytes), new Refusal("malformed"));
    else if (session.resumed === (frame.type === "resume")) throw new Refusal("malformed");
    else this.#dispatch(session, frame);
  }

  #dispatch(session: Session, frame: ClientFrame): void {
    if (frame.type === "resume") this.#resume(session, frame.after);
    else if (frame.type === "confirm") this.#confirm(session, frame.seq);
    else if (frame.type === "pull") this.#pull(session, frame.after);
    else if (frame.type === "group_info") this.#groupInfo(session);
    else this.#ask(session, frame);
  }

  #ask(session: Session, frame: Asked["frame"]): void {
    const now = Date.now();
    const { turns, device } = session;
    const wait = turns.allows(frame.id, now) ? this.#rate.take(device, 1, now) : OVERTAKING;
    if (wait > 0) {
      turns.refused(frame.id, { now, wait });
      this.#refuse(session, frame.id, new Refusal("rate_limited", { retryAfter: wait }));
    } else {
      turns.taken(now);
      this.#batch.add({ session, frame }, frame.bytes.length);
    }
  }

  #resume(session: Session, after: number): void {
    const { log, roster, sockets } = this.#parts;
    const { head, first } = log;
    session.resumed = true;
    if (after <= head.seq) this.#receipts.confirm(session, after);
    const seat = roster.seatOf(session.device);
    if (seat?.nudged) roster.setNudged(seat, false);
    const confirmed = seat?.confirmed ?? 0;
    sockets.send(session, { type: "ready", head, first, delivered: this.#receipts.told, confirmed, now: Date.now() });
    if (roster.pending.length > 0) sockets.send(session, { type: "removals", leaves: roster.pending });
    if (after === head.seq) sockets.enliven(session, head.seq);
    else sockets.save(session.device);
  }

  #confirm(session: Session, seq: number): void {
    if (seq > this.#parts.log.head.seq) throw new Refusal("malformed");
    this.#receipts.confirm(session, seq);
  }

  #pull(session: Session, after: number): void {
    this.#pay(session, PAGE_COST);
    const { log, sockets } = this.#parts;
    const page = this.#pages.read({ after, delivered: this.#receipts.told, now: Date.now() });
    sockets.sendBytes(session, page.frame);
    if (page.last >= log.head.seq) sockets.enliven(session, log.head.seq);
  }

  #groupInfo(session: Session): void {
    this.#pay(session, PAGE_COST);
    const { log, sockets } = this.#parts;
    sockets.send(session, { type: "group_info", bytes: log.groupInfo(), head: log.head });
  }

  #pay(session: Session, cost: number): void {
    const wait = this.#rate.take(session.device, cost, Date.now());
    if (wait > 0) throw new Refusal("rate_limited", { retryAfter: wait });
  }

  /** Says no; who sends what cannot be read too often is cut off. */
  #refuse(session: Session, id: Uint8Array | null, error: unknown): void {
    const refusal = this.#explain(error);
    const unreadable = refusal.code === "malformed" || refusal.code === "too_large";
    if (unreadable && ++session.errors >= MOST_ERRORS) this.#parts.sockets.refuse(session.device, refusal.code);
    else this.#parts.sockets.send(session, refused(id, refusal));
  }

  #explain(error: unknown): Pick<Refusal, "code" | "detail"> {
    return isRefusal(error) ? error : new Refusal("internal", { reference: traceBug("conversation", error) });
  }

  /** @throws {Refusal} not_found — not this tenant's, or the member is not in it; device_revoked; tenant_suspended;
   * wrong_residency */
  #check({ tenant, member, device, policy, revision, residency }: Claims): void {
    const { charter, roster, alarm } = this.#home();
    if (charter.founding.tenant !== tenant || charter.founding.residency !== residency) throw new Refusal("not_found");
    if (!roster.participants.has(member)) throw new Refusal("not_found");
    if (roster.expelled.has(device)) throw new Refusal("device_revoked");
    // Only who is not suspended gets a token
    if (charter.adopt({ revision, policy, suspended: false })) alarm.rearm();
    if (charter.suspended) throw new Refusal("tenant_suspended");
  }

  /** @throws {Refusal} not_found — not founded; wrong_residency — founded, but not here */
  #home(): Parts {
    assertResidency(this.ctx, this.env, this.#parts.charter.founding.residency);
    return this.#parts;
  }

  /** After seats became pending: those who can commit them out hear of it, and the effects are carried out. */
  #removed(): void {
    const { roster, sockets, effects, alarm } = this.#parts;
    if (roster.pending.length > 0) {
      const frame: ServerFrame = { type: "removals", leaves: roster.pending };
      for (const session of sockets.all()) if (session.resumed) sockets.send(session, frame);
    }
    alarm.rearm();
    void effects.run(Date.now());
  }

  /** A device that goes without having confirmed everything may have missed something, so its mailbox is told. */
  #left(socket: WebSocket): void {
    const { storage, sockets, roster, log } = this.#parts;
    const session = sockets.of(socket);
    if (session === undefined) return;
    sockets.drop(socket);
    const seat = roster.seatOf(session.device);
    const missed = seat !== undefined && !seat.pending && !seat.nudged && seat.confirmed < log.head.seq;
    storage.transactionSync(() => {
      roster.save();
      if (missed) this.#acceptance.nudge([seat], Date.now());
    });
    if (missed) this.#acceptance.carryOut(Date.now());
  }

  #settled(): void {
    const { roster, log, alarm } = this.#parts;
    if (roster.passed() >= log.first) alarm.by(Date.now() + FORGET_AFTER);
  }

  async #carry(effect: MailboxEffect, parcel: Uint8Array | null): Promise<void> {
    const { charter, roster } = this.#parts;
    const { tenant, residency, conversation } = charter.founding;
    // Whoever is in again by now would be told out of it
    if (effect.kind === "removed" && roster.participants.has(effect.member)) return;
    const mailbox = mailboxStub(this.env, { tenant, residency, member: effect.member });
    if (effect.kind === "nudge") await mailbox.nudge({ kind: "conversation", conversation, seq: effect.seq });
    else if (effect.kind === "removed") await mailbox.nudge({ kind: "removed", conversation });
    else if (parcel !== null) {
      const { devices, generation, seq, hash } = effect;
      await mailbox.welcome({ devices: [...devices], conversation, generation, seq, hash, bytes: parcel });
    }
  }
}

/** The id in a frame that fits no schema, so that its sender knows which one was refused; null when there is none. */
function idIn(bytes: Uint8Array): Uint8Array | null {
  const frame = decodeCbor(bytes);
  const id = typeof frame === "object" && frame !== null && "id" in frame ? frame.id : null;
  return id instanceof Uint8Array && id.length === 16 ? id : null;
}
