// People and devices that talk to a real conversation object by its real frames, with hand-made MLS bytes.

import { env } from "cloudflare:workers";
import { randomBytes, utf8 } from "../../../schemas/bytes.ts";
import type { Credential } from "../../../schemas/credential.ts";
import { type CommitFrame, type Envelope, type EnvelopesFrame, ServerFrame } from "../../../schemas/frames.ts";
import { type ConversationId, type DeviceId, type MemberId, newId, type TenantId } from "../../../schemas/ids.ts";
import { DEFAULT_POLICY, type Policy } from "../../../schemas/policy.ts";
import { isRefusal } from "../../../schemas/refusal.ts";
import type { Claims } from "../../../workers/claims.ts";
import type { ConversationObject } from "../../../workers/conversation/object.ts";
import type { Decree } from "../../../workers/decree.ts";
import type { MailboxObject } from "../../../workers/mailbox/object.ts";
import { Line } from "./line.ts";
import { privateMessage, publicCommit } from "./mls-bytes.ts";

declare global {
  namespace Cloudflare {
    interface Env {
      readonly CONVERSATIONS: DurableObjectNamespace<ConversationObject>;
      readonly MAILBOXES: DurableObjectNamespace<MailboxObject>;
    }
  }
}

/** One device, and how it introduces itself. */
export interface Device {
  readonly member: MemberId;
  readonly device: DeviceId;
}

type Answer<Type extends ServerFrame["type"]> = Extract<ServerFrame, { type: Type }>;

/** A conversation with its founder on leaf 0, and all that a test does to it. */
export class Room {
  readonly tenant = newId<TenantId>();
  readonly conversation = newId<ConversationId>();
  readonly founder: Device = device();
  policy: Policy = DEFAULT_POLICY;
  revision = 1;

  /** What tokens say from now on. */
  decide(change: Partial<Policy>): void {
    this.policy = { ...this.policy, ...change };
    this.revision++;
  }

  /** Founds a conversation; everybody's mailbox is open. */
  static async found(...others: readonly Device[]): Promise<Room> {
    const room = new Room();
    for (const who of [room.founder, ...others]) await room.openMailbox(who);
    await room.stub.found({ ...room.founding, members: others.map(({ member }) => member) });
    return room;
  }

  /** Founds a conversation and has the founder commit everybody in; leaves 1, 2, … in order. */
  static async full(...others: readonly Device[]): Promise<{ room: Room; first: Peer }> {
    const room = await Room.found(...others);
    const first = await room.enter(room.founder);
    await first.commit({ epoch: 0, sender: 0, added: others });
    return { room, first };
  }

  get home() {
    return { tenant: this.tenant, residency: "eu", conversation: this.conversation } as const;
  }

  /** As the Worker founds it. */
  get founding() {
    const { home, founder: creator, decree } = this;
    return { ...home, creator, members: [], decree };
  }

  /** What holds for the tenant now. */
  get decree(): Decree {
    return { revision: this.revision, policy: this.policy, suspended: false };
  }

  get stub(): DurableObjectStub<ConversationObject> {
    return env.CONVERSATIONS.getByName(`eu:${this.tenant}/${this.conversation}`);
  }

  mailbox(member: MemberId): DurableObjectStub<MailboxObject> {
    return env.MAILBOXES.getByName(`eu:${this.tenant}/${member}`);
  }

  async openMailbox(who: Device): Promise<void> {
    await this.mailbox(who.member).open({ tenant: this.tenant, residency: "eu", ...who });
  }

  claims(who: Device): Claims {
    const { tenant, policy, revision } = this;
    return { tenant, ...who, role: "member", residency: "eu", policy, revision, expiresAt: Date.now() + 600_000 };
  }

  credential(who: Device): Credential {
    return { v: 1, tenant: this.tenant, ...who, identityKey: new Uint8Array(32), certificate: new Uint8Array(64) };
  }

  /** Opens a socket without saying anything. */
  async connect(who: Device): Promise<Peer> {
    return new Peer(this, who, await Line.open(this.stub, this.claims(who), ServerFrame));
  }

  /** Opens a socket and resumes after `after`. */
  async enter(who: Device, after = 0): Promise<Peer> {
    const peer = await this.connect(who);
    await peer.resume(after);
    return peer;
  }
}

/** One device's end of a socket. */
export class Peer {
  readonly room: Room;
  readonly who: Device;
  readonly socket: Line<typeof ServerFrame>;

  constructor(room: Room, who: Device, socket: Line<typeof ServerFrame>) {
    this.room = room;
    this.who = who;
    this.socket = socket;
  }

  next<Type extends ServerFrame["type"]>(type: Type): Promise<Answer<Type>> {
    return this.socket.next((frame): frame is Answer<Type> => frame.type === type);
  }

  resume(after: number): Promise<Answer<"ready">> {
    this.socket.say({ type: "resume", after });
    return this.next("ready");
  }

  /** Where the conversation stands, asked by a new socket of the same device. */
  async resumeAgain(): Promise<Answer<"ready">> {
    return (await this.room.connect(this.who)).resume(0);
  }

  async pull(after: number): Promise<EnvelopesFrame> {
    this.socket.say({ type: "pull", after });
    return this.next("envelopes");
  }

  /** All envelopes pushed until `seq` has come. */
  async until(seq: number): Promise<Envelope[]> {
    const got: Envelope[] = [];
    while ((got.at(-1)?.seq ?? 0) < seq) got.push(...(await this.next("envelopes")).envelopes);
    return got;
  }

  /** What the object refused next. */
  async refusal(): Promise<{ code: string; detail: unknown; id: Uint8Array | null }> {
    const { code, detail, id } = await this.next("refused");
    return { code, detail, id };
  }

  confirm(seq: number): void {
    this.socket.say({ type: "confirm", seq });
  }

  /** Everything the log can still speak of, page by page. */
  async pullAll(after: number): Promise<Envelope[]> {
    const page = await this.pull(after);
    const last = page.envelopes.at(-1)?.seq ?? after;
    return last >= page.head ? page.envelopes : [...page.envelopes, ...(await this.pullAll(last))];
  }

  /** Says a send without waiting for anything; returns its id. */
  post(
    epoch: number,
    text: string,
    more: { id?: Uint8Array<ArrayBuffer>; expiresIn?: number; generation?: number } = {},
  ): Uint8Array<ArrayBuffer> {
    const { id = randomBytes(16), generation = 0, ...rest } = more;
    const bytes = privateMessage({ conversation: this.room.conversation, generation, epoch }, text);
    this.socket.say({ type: "send", id, bytes, ...rest });
    return id;
  }

  /** Sends and waits for the echo. */
  async send(
    epoch: number,
    text: string,
    more: { id?: Uint8Array<ArrayBuffer>; expiresIn?: number; generation?: number } = {},
  ): Promise<EnvelopesFrame> {
    this.post(epoch, text, more);
    return this.next("envelopes");
  }

  commitFrame(change: Commit): CommitFrame {
    const { room } = this;
    const { generation = 0, epoch, sender, joiner, added = [], removed = [], welcomes } = change;
    const credentials = {
      added: added.map((who) => room.credential(who)),
      ...(joiner && { joiner: room.credential(joiner) }),
    };
    const bytes = publicCommit(
      { conversation: room.conversation, generation, epoch },
      { sender, removed, ...credentials },
    );
    const groups = welcomes ?? (added.length > 0 ? [{ devices: [...added], bytes: utf8("welcome") }] : []);
    return {
      type: "commit",
      id: randomBytes(16),
      bytes,
      welcomes: groups,
      groupInfo: utf8(`group info after ${generation === 0 ? "" : `${generation}/`}${epoch}`),
    };
  }

  /** Commits and waits for the echo. */
  async commit(change: Commit): Promise<EnvelopesFrame> {
    this.socket.say(this.commitFrame(change));
    return this.next("envelopes");
  }
}

interface Commit {
  readonly generation?: number;
  readonly epoch: number;
  readonly sender: number | null;
  readonly joiner?: Device;
  readonly added?: readonly Device[];
  readonly removed?: readonly number[];
  readonly welcomes?: CommitFrame["welcomes"];
}

/** The code an object refuses a call with. */
export async function refusedBy(call: () => Promise<unknown>): Promise<string> {
  try {
    await call();
  } catch (error) {
    if (isRefusal(error)) return error.code;
    throw error;
  }
  return "nothing was refused";
}

/** A new device, of a new member unless told otherwise. */
export function device(member: MemberId = newId()): Device {
  return { member, device: newId() };
}
