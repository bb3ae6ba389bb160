// Owns the shell of a member's mailbox: what the Worker and conversations may call, the frames of its sockets, and its alarm, which also rings for
// what its member has left elsewhere for a time.

import { DurableObject } from "cloudflare:workers";
import { decodeFrame, encodeFrame, MailboxClientFrame, type MailboxServerFrame } from "../../schemas/frames.ts";
import type { ConversationId, DeviceId } from "../../schemas/ids.ts";
import { LIMITS, type Residency } from "../../schemas/policy.ts";
import { isRefusal, REFUSED_CLOSE, Refusal } from "../../schemas/refusal.ts";
import { Alarm, earlier } from "../alarm.ts";
import { readClaims } from "../claims.ts";
import type { Decree } from "../decree.ts";
import { clearLinks } from "../directory/links.ts";
import { Effects } from "../effects.ts";
import type { Env } from "../env.ts";
import { Rate } from "../rate.ts";
import { assertResidency, conversationStub } from "../residency.ts";
import { traceBug } from "../trace.ts";
import { acceptUpgrade, refuseUpgrade } from "../upgrade.ts";
import { destroyExpired } from "../vault.ts";
import { Expiries } from "./expiries.ts";
import { type KeyPackage, KeyPackages } from "./key-packages.ts";
import { type Home, Owner } from "./owner.ts";
import { type About, Queue, type Welcome } from "./queue.ts";

/** What is to be done at a conversation: take the member out, or one device of it. */
type ConversationEffect =
  | { readonly kind: "dismiss"; readonly conversation: ConversationId }
  | { readonly kind: "expel"; readonly conversation: ConversationId; readonly device: DeviceId };

/** What a socket's attachment says. */
interface Kept {
  readonly device: DeviceId;
  readonly resumed: boolean;
  readonly errors: number;
}

/** So many unreadable frames end a socket. */
const MOST_ERRORS = 20;

/** One member's mailbox: key packages, welcomes and nudges for all of its devices. */
export class MailboxObject extends DurableObject<Env> {
  readonly #owner: Owner;
  readonly #packages: KeyPackages;
  readonly #queue: Queue;
  readonly #effects: Effects<ConversationEffect>;
  readonly #expiries: Expiries;
  readonly #alarm: Alarm;
  readonly #rate: Rate;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const { sql } = ctx.storage;
    this.#owner = new Owner(sql);
    this.#packages = new KeyPackages(sql);
    this.#queue = new Queue(sql);
    this.#effects = new Effects(sql, (effect) => this.#carry(effect));
    this.#expiries = new Expiries(sql);
    this.#alarm = new Alarm(ctx.storage, () => earlier(this.#effects.dueAt(), this.#expiries.dueAt()));
    this.#rate = new Rate({ perSecond: 50, burst: 500 });
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
  }

  /** Registers a device of the member. The same again changes nothing. @throws {Refusal} wrong_residency; device_revoked */
  open({ device, ...home }: Home & { readonly device: DeviceId }): void {
    assertResidency(this.ctx, this.env, home.residency);
    this.#owner.open(home, device);
  }

  /**
   * Adds to a device's stock of key packages; how many one-time packages it then has.
   * @throws {Refusal} not_found — no such device; device_revoked; quota — more than a device may keep
   */
  stock({ device, packages }: { readonly device: DeviceId; readonly packages: readonly KeyPackage[] }): {
    stock: number;
  } {
    this.#home();
    this.#owner.check(device);
    const now = Date.now();
    this.ctx.storage.transactionSync(() => this.#packages.add(device, packages, now));
    const { stock } = this.#packages.stock(device, now);
    return { stock };
  }

  /** One key package for each device in use that has any, handed out once. @throws {Refusal} not_found — no such mailbox */
  claim(): { device: DeviceId; bytes: Uint8Array }[] {
    this.#home();
    const now = Date.now();
    return this.#owner.devices().flatMap((device) => {
      const bytes = this.#packages.take(device, now);
      this.#tell((other) => other === device, { type: "stock", stock: this.#packages.stock(device, now).stock });
      return bytes === undefined ? [] : [{ device, bytes }];
    });
  }

  /** Puts a welcome before devices of the member, each until it confirms; a device that is not in use is passed over. The same again changes nothing. */
  welcome({ devices, ...welcome }: Welcome & { readonly devices: readonly DeviceId[] }): void {
    this.#home();
    const inUse = new Set(this.#owner.devices());
    for (const device of devices.filter((id) => inUse.has(id))) {
      const item = this.#queue.welcome(device, welcome);
      if (item !== undefined) this.#tell((other) => other === device, { type: "welcomes", welcomes: [item] });
    }
  }

  /** Tells all devices that something is new, now or when they next come. */
  nudge(about: About): void {
    this.#home();
    const nudge = this.#queue.nudge(about);
    this.#tell(() => true, { type: "nudges", nudges: [nudge] });
  }

  /** Sees to it that what the member has left in its vault, or in a meeting place, until `at` (ms) is destroyed then, whether anybody is there or not. */
  expire(at: number): void {
    this.#home();
    this.#expiries.add(at);
    this.#alarm.by(at);
  }

  /** Shuts a revoked device out at once, here and in its conversations. */
  expel({
    device,
    conversations,
  }: {
    readonly device: DeviceId;
    readonly conversations: readonly ConversationId[];
  }): void {
    this.#home();
    const now = Date.now();
    this.ctx.storage.transactionSync(() => {
      this.#revoke(device);
      this.#effects.add(
        conversations.map((conversation) => ({ kind: "expel", conversation, device }) as const),
        now,
      );
    });
    this.#shutOut([device]);
  }

  /** Shuts a removed member out at once: every device, here and in its conversations. */
  close({ conversations }: { readonly conversations: readonly ConversationId[] }): void {
    this.#home();
    const devices = this.#owner.devices();
    this.ctx.storage.transactionSync(() => {
      this.#owner.close();
      for (const device of devices) this.#revoke(device);
      this.#effects.add(
        conversations.map((conversation) => ({ kind: "dismiss", conversation }) as const),
        Date.now(),
      );
    });
    this.#shutOut(devices);
  }

  /** Goes by what the tenant's herald brings: a suspension closes every socket. @throws {Refusal} wrong_residency */
  adopt({ residency, decree }: { readonly residency: Residency; readonly decree: Decree }): void {
    assertResidency(this.ctx, this.env, residency);
    if (!this.#owner.adopt(decree) || !decree.suspended) return;
    for (const socket of this.ctx.getWebSockets()) socket.close(REFUSED_CLOSE, "tenant_suspended");
  }

  /** Opens a device's socket; a refusal is the reason the socket is closed with. */
  override fetch(request: Request): Response {
    const { tenant, residency, member, device, revision } = readClaims(request.headers);
    try {
      this.open({ tenant, residency, member, device });
      // Only who is not suspended gets a token
      this.#owner.adopt({ revision, suspended: false });
      if (this.#owner.suspended) throw new Refusal("tenant_suspended");
    } catch (error) {
      return refuseUpgrade(explain(error).code);
    }
    for (const old of this.ctx.getWebSockets(device)) old.close(1000, "replaced");
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server, [device]);
    keep(server, { device, resumed: false, errors: 0 });
    return acceptUpgrade(client);
  }

  override webSocketMessage(socket: WebSocket, message: ArrayBuffer | string): void {
    // A socket that this object has closed may still bring what was under way
    if (this.#owner.suspended) return;
    try {
      this.#receive(socket, message);
    } catch (error) {
      this.#refuse(socket, error);
    }
  }

  override webSocketClose(socket: WebSocket, code: number, reason: string): void {
    if (socket.readyState === WebSocket.CLOSED) return;
    // These three say how a connection ended and may not be sent
    if ([1005, 1006, 1015].includes(code)) socket.close();
    else socket.close(code, reason);
  }

  override async alarm(): Promise<void> {
    await this.#alarm.ring(
      () => this.#sweep(Date.now()),
      (error) => traceBug("sweep", error),
    );
  }

  async #sweep(now: number): Promise<void> {
    await this.#effects.run(now);
    if ((this.#expiries.dueAt() ?? Number.POSITIVE_INFINITY) > now) return;
    await destroyExpired(this.env, this.#owner.home, now);
    await clearLinks(this.env.DIRECTORY, now);
    this.#expiries.drop(now);
  }

  #receive(socket: WebSocket, message: ArrayBuffer | string): void {
    if (typeof message === "string") throw new Refusal("malformed");
    if (message.byteLength > LIMITS.frameBytes) throw new Refusal("too_large");
    const frame = decodeFrame(MailboxClientFrame, new Uint8Array(message));
    const { device, resumed } = kept(socket);
    if (frame === undefined || resumed === (frame.type === "resume")) throw new Refusal("malformed");
    const wait = this.#rate.take(device, 1, Date.now());
    if (wait > 0) throw new Refusal("rate_limited", { retryAfter: wait });
    if (frame.type === "confirm") this.#queue.confirm(device, frame.welcome);
    else this.#resume(socket, frame.after);
  }

  #resume(socket: WebSocket, after: number): void {
    const now = Date.now();
    const { device } = kept(socket);
    keep(socket, { ...kept(socket), resumed: true });
    send(socket, { type: "ready", now, ...this.#packages.stock(device, now) });
    const nudges = this.#queue.nudgesAfter(after);
    if (nudges.length > 0) send(socket, { type: "nudges", nudges });
    for (const item of this.#queue.welcomesFor(device)) send(socket, { type: "welcomes", welcomes: [item] });
  }

  /** Says no; who sends what cannot be read too often is cut off. */
  #refuse(socket: WebSocket, error: unknown): void {
    const { code, detail } = explain(error);
    const state = kept(socket);
    const errors = state.errors + (code === "malformed" || code === "too_large" ? 1 : 0);
    keep(socket, { ...state, errors });
    if (errors >= MOST_ERRORS) socket.close(REFUSED_CLOSE, code);
    else send(socket, { type: "refused", id: null, code, detail: detail as Record<string, string> });
  }

  #tell(wanted: (device: DeviceId) => boolean, frame: MailboxServerFrame): void {
    for (const socket of this.ctx.getWebSockets()) {
      const { device, resumed } = kept(socket);
      if (resumed && wanted(device)) send(socket, frame);
    }
  }

  #revoke(device: DeviceId): void {
    this.#owner.revoke(device);
    this.#packages.drop(device);
    this.#queue.drop(device);
  }

  #shutOut(devices: readonly DeviceId[]): void {
    for (const device of devices) {
      for (const socket of this.ctx.getWebSockets(device)) socket.close(REFUSED_CLOSE, "device_revoked");
    }
    this.#alarm.rearm();
    void this.#effects.run(Date.now());
  }

  /** @throws {Refusal} not_found — nobody has opened it; wrong_residency — opened, but not here */
  #home(): Home {
    const { home } = this.#owner;
    assertResidency(this.ctx, this.env, home.residency);
    return home;
  }

  async #carry(effect: ConversationEffect): Promise<void> {
    const { tenant, residency, member } = this.#owner.home;
    const stub = conversationStub(this.env, { tenant, residency, conversation: effect.conversation });
    if (effect.kind === "expel") await stub.expel({ member, device: effect.device });
    else await stub.dismiss({ by: member, role: "member", member });
  }
}

function kept(socket: WebSocket): Kept {
  return socket.deserializeAttachment() as Kept;
}

function keep(socket: WebSocket, state: Kept): void {
  socket.serializeAttachment(state);
}

function send(socket: WebSocket, frame: MailboxServerFrame): void {
  try {
    socket.send(encodeFrame(frame));
  } catch {
    // The connection is gone; what was to be said waits in the queue
  }
}

function explain(error: unknown): Pick<Refusal, "code" | "detail"> {
  return isRefusal(error) ? error : new Refusal("internal", { reference: traceBug("mailbox", error) });
}
