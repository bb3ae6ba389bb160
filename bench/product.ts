// Starts the product as `npm start` does and fills it with a real company: members join by invite, conversations are founded and
// joined over the real routes, tokens are the ones the server issued. Only the MLS bytes are made up, as the server cannot read them.

import { once } from "node:events";
import { WebSocket } from "ws";
import { createDoor, type Door } from "../client/engine/api.ts";
import {
  certify,
  createDeviceKeys,
  createIdentityKeys,
  type KeyPair,
  sign,
} from "../client/engine/group/device-keys.ts";
import { randomBytes, toBase64url } from "../schemas/bytes.ts";
import { type Credential, introductionPayload } from "../schemas/credential.ts";
import { decodeFrame, encodeFrame, ServerFrame } from "../schemas/frames.ts";
import {
  type ConversationId,
  type DeviceId,
  type InviteId,
  type MemberId,
  newId,
  type TenantId,
} from "../schemas/ids.ts";
import { build } from "../scripts/build.ts";
import { RealServer } from "../test/support/real-server.ts";
import { privateMessage, publicCommit } from "../test/workers/support/mls-bytes.ts";
import { onServerCore } from "./machine.ts";
import { type Peer, stampedPayload, stampOf, type Target } from "./target.ts";

export type Running = RealServer;

/** The built product with its state in a temporary folder, on the server's core. */
export async function startProduct(): Promise<Running> {
  await build();
  const env = { KUVERT_REQUESTS_PER_MINUTE: "Infinity", KUVERT_SENDS_PER_SECOND: "1000000" };
  return RealServer.start({ under: onServerCore, env });
}

/** One member with one device, and the token the server gave it. */
export interface Person {
  readonly credential: Credential;
  readonly token: string;
}

export interface Company {
  readonly tenant: TenantId;
  readonly people: readonly Person[];
}

async function introduce(tenant: TenantId, name: string) {
  const [identity, device] = await Promise.all([createIdentityKeys(), createDeviceKeys()]);
  const [member, id] = [newId<MemberId>(), newId<DeviceId>()];
  const certificate = await certify(identity.privateKey, {
    tenant,
    member,
    device: id,
    signatureKey: device.signatureKey.publicKey,
  });
  const credential: Credential = {
    v: 1,
    tenant,
    member,
    device: id,
    identityKey: identity.publicKey.slice(),
    certificate: certificate.slice(),
  };
  return { credential, introduction: await introduction(name, credential, device.signatureKey) };
}

async function introduction(name: string, credential: Credential, key: KeyPair) {
  const { member, device, identityKey, certificate } = credential;
  return {
    id: member,
    name,
    identityKey: toBase64url(identityKey),
    device: {
      id: device,
      name: "bench",
      signatureKey: toBase64url(key.publicKey),
      certificate: toBase64url(certificate),
      proof: toBase64url(await sign(key.privateKey, introductionPayload(credential))),
    },
  };
}

/** Signs a company up and lets `size - 1` members join it by invite. */
export async function foundCompany(url: string, size: number): Promise<Company> {
  const door = createDoor({ server: url });
  const tenant = newId<TenantId>();
  const owner = await introduce(tenant, "Person 0");
  const { token } = await door.signUp({ tenant: { id: tenant, name: "Bench GmbH" }, member: owner.introduction });
  const people: Person[] = [{ credential: owner.credential, token }];
  const invite = newId<InviteId>();
  const secret = randomBytes(32);
  const secretHash = toBase64url(new Uint8Array(await crypto.subtle.digest("SHA-256", secret)));
  await post(url, token, "/api/invites", { id: invite, secretHash, role: "member", uses: 1_000, expiresIn: 3_600_000 });
  for (let at = 1; at < size; at += 10) {
    const batch = Array.from({ length: Math.min(10, size - at) }, (_, offset) =>
      joinCompany(door, { tenant, invite, secret, name: `Person ${at + offset}` }),
    );
    people.push(...(await Promise.all(batch)));
  }
  return { tenant, people };
}

async function joinCompany(
  door: Door,
  order: { tenant: TenantId; invite: InviteId; secret: Uint8Array; name: string },
): Promise<Person> {
  const { credential, introduction: member } = await introduce(order.tenant, order.name);
  const { token } = await door.join({ invite: order.invite, secret: toBase64url(order.secret), member });
  return { credential, token };
}

async function post(url: string, token: string, path: string, body: unknown): Promise<void> {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const response = await fetch(new URL(path, url), { method: "POST", headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
}

/** Founds a conversation of these people and brings all their devices in by one commit. */
export async function foundConversation(url: string, people: readonly Person[]): Promise<ConversationId> {
  const [creator, ...others] = people;
  if (creator === undefined) throw new RangeError("a conversation needs somebody");
  const id = newId<ConversationId>();
  const members = others.map(({ credential }) => credential.member);
  await post(url, creator.token, "/api/conversations", { id, members });
  const peer = await ProductPeer.open({ url, person: creator, conversation: id, epoch: 0, after: 0 });
  const added = others.map(({ credential }) => credential);
  await peer.commit(added);
  peer.close();
  return id;
}

interface Seat {
  readonly url: string;
  readonly person: Person;
  readonly conversation: ConversationId;
  readonly epoch: number;
  readonly after: number;
}

const CONFIRM_AFTER = 64;
const CONFIRM_WITHIN_MS = 50;

/** One device on its conversation's socket. It confirms as the client does: every 64 envelopes or 50 ms, and pulls when told it is behind. */
export class ProductPeer implements Peer {
  seq: number;
  sample = false;
  onDelivery: Peer["onDelivery"] = null;
  /** Called when a page or push reached the log's head. */
  onCaughtUp: (() => void) | null = null;
  readonly #socket: WebSocket;
  readonly #place: { readonly conversation: ConversationId; readonly epoch: number };
  #confirmed: number;
  #timer: NodeJS.Timeout | null = null;

  private constructor(socket: WebSocket, seat: Seat) {
    this.#socket = socket;
    this.#place = { conversation: seat.conversation, epoch: seat.epoch };
    this.seq = seat.after;
    this.#confirmed = seat.after;
  }

  /** Connects, resumes and resolves when the server is ready for this device and the device has caught up with the log. */
  static async open(seat: Seat): Promise<ProductPeer> {
    const address = `${seat.url.replace("http", "ws")}/api/conversations/${seat.conversation}/socket`;
    const socket = new WebSocket(address, ["kuvert.1", `token.${seat.person.token}`], { perMessageDeflate: false });
    const peer = new ProductPeer(socket, seat);
    const caughtUp = new Promise<void>((resolve, reject) => {
      peer.onCaughtUp = resolve;
      socket.once("error", reject);
      socket.once("close", (code, reason) => reject(new Error(`closed ${code} ${reason}`)));
    });
    socket.on("message", (data: Buffer) => peer.#receive(data));
    await once(socket, "open");
    socket.send(encodeFrame({ type: "resume", after: seat.after }));
    await caughtUp;
    peer.onCaughtUp = null;
    return peer;
  }

  send(size: number, sentAt: number): void {
    const bytes = privateMessage(this.#place, stampedPayload(size, sentAt));
    this.#socket.send(encodeFrame({ type: "send", id: randomBytes(16), bytes }));
  }

  /** Sends a timed message. */
  sendTimed(expiresIn: number): void {
    const bytes = privateMessage(this.#place, stampedPayload(300, 0));
    this.#socket.send(encodeFrame({ type: "send", id: randomBytes(16), bytes, expiresIn }));
  }

  /** Commits these devices into the group and resolves on its own echo. */
  async commit(added: readonly Credential[]): Promise<void> {
    const bytes = publicCommit(this.#place, { sender: 0, added });
    const devices = added.map(({ member, device }) => ({ member, device }));
    const echoed = new Promise<void>((resolve) => {
      this.onDelivery = () => resolve();
    });
    const groupInfo = new Uint8Array(200);
    this.#socket.send(
      encodeFrame({ type: "commit", id: randomBytes(16), bytes, welcomes: [{ devices, bytes: groupInfo }], groupInfo }),
    );
    await echoed;
    this.onDelivery = null;
  }

  pull(after: number): void {
    this.#socket.send(encodeFrame({ type: "pull", after }));
  }

  /** Sees every frame as it comes, decoded. For what is measured one frame at a time. */
  onFrame: ((frame: ServerFrame) => void) | null = null;

  stall(): void {
    this.#socket.pause();
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#socket.removeAllListeners("close");
    this.#socket.terminate();
  }

  #receive(data: Buffer): void {
    const position = this.sample || this.onFrame !== null ? null : positionOf(data);
    if (position === null) this.#read(data);
    else this.#advance(position.seq, position.head, []);
  }

  #read(data: Buffer): void {
    const frame = decodeFrame(ServerFrame, data);
    if (frame === undefined) throw new Error("unreadable frame");
    this.onFrame?.(frame);
    this.#handle(frame);
  }

  #handle(frame: ServerFrame): void {
    if (frame.type === "ready" && frame.head.seq === this.seq) this.onCaughtUp?.();
    else if (frame.type === "ready") this.pull(this.seq);
    else if (frame.type === "behind") this.pull(this.seq);
    else if (frame.type === "refused") throw new Error(`refused: ${frame.code}`);
    else if (frame.type === "envelopes") {
      const last = frame.envelopes.at(-1)?.seq ?? this.seq;
      const stamps = this.sample
        ? frame.envelopes.flatMap(({ bytes }) => (bytes === null ? [] : [stampOf(bytes)]))
        : [];
      this.#advance(last, frame.head, stamps);
    }
  }

  #advance(seq: number, head: number, stamps: readonly number[]): void {
    const count = seq - this.seq;
    this.seq = Math.max(this.seq, seq);
    if (count > 0) this.onDelivery?.(count, stamps);
    if (this.seq === head) this.onCaughtUp?.();
    else this.pull(this.seq);
    this.#confirm();
  }

  #confirm(): void {
    if (this.seq - this.#confirmed >= CONFIRM_AFTER) this.#confirmNow();
    else this.#timer ??= setTimeout(() => this.#confirmNow(), CONFIRM_WITHIN_MS);
  }

  #confirmNow(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.seq === this.#confirmed || this.#socket.readyState !== WebSocket.OPEN) return;
    this.#confirmed = this.seq;
    this.#socket.send(encodeFrame({ type: "confirm", seq: this.seq }));
  }
}

const HEAD_KEY = Buffer.from("\x64head", "latin1");
const TYPE_KEY = Buffer.from("\x64type\x69envelopes", "latin1");

/**
 * Reads `head` of a pushed envelopes frame without decoding its envelopes, so that the load keeps up with the server: deterministic CBOR puts
 * the short keys first. Null for every other frame, and for a page of a longer log, whose last seq is not the head.
 */
function positionOf(data: Buffer): { seq: number; head: number } | null {
  const at = data.subarray(0, 80).indexOf(HEAD_KEY);
  if (at === -1) return null;
  const { value: head, length } = readUint(data, at + HEAD_KEY.length);
  const next = at + HEAD_KEY.length + length;
  if (!data.subarray(next, next + TYPE_KEY.length).equals(TYPE_KEY)) return null;
  return lastIsHead(data, head) ? { seq: head, head } : null;
}

/** The last envelope ends with its own seq only when keys were sorted by length; so look for the last `seq` key of the frame. */
function lastIsHead(data: Buffer, head: number): boolean {
  const at = data.lastIndexOf(Buffer.from("\x63seq", "latin1"));
  return at !== -1 && readUint(data, at + 4).value === head;
}

function readUint(data: Buffer, at: number): { value: number; length: number } {
  const first = data[at] ?? 0;
  if (first < 24) return { value: first, length: 1 };
  if (first === 24) return { value: data.readUInt8(at + 1), length: 2 };
  if (first === 25) return { value: data.readUInt16BE(at + 1), length: 3 };
  return { value: data.readUInt32BE(at + 1), length: 5 };
}

/** The product as a target: rooms are conversations of as many members, drawn from one company. */
export async function productTarget(running: Running, company: Company): Promise<Target> {
  return {
    name: "Kuvert",
    get pid() {
      return running.workerdPid;
    },
    fill: async (room, size) => {
      const people = Array.from(
        { length: size },
        (_, at) => company.people[(room * 4 + at) % company.people.length],
      ).filter((person) => person !== undefined);
      const conversation = await foundConversation(running.url, people);
      return fillConversation(running.url, conversation, people);
    },
    stop: () => running.dispose(),
  };
}

/** Connects all these people's devices to a conversation of epoch 1, at most 50 at a time. */
export async function fillConversation(
  url: string,
  conversation: ConversationId,
  people: readonly Person[],
): Promise<ProductPeer[]> {
  const peers: ProductPeer[] = [];
  for (let at = 0; at < people.length; at += 50) {
    const seats = people.slice(at, at + 50).map((person) => ({ url, person, conversation, epoch: 1, after: 1 }));
    peers.push(...(await Promise.all(seats.map((seat) => ProductPeer.open(seat)))));
  }
  return peers;
}
