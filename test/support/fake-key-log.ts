// A tenant's key log as a server shows it, honest or not, and members to put into it.

import { certify, createDeviceKeys, createIdentityKeys } from "../../client/engine/group/device-keys.ts";
import type { Claim, Me } from "../../client/engine/group/state.ts";
import { fromBase64url, toBase64url } from "../../schemas/bytes.ts";
import { type DeviceId, type MemberId, newId, type TenantId } from "../../schemas/ids.ts";
import { encodeKeyEvent, type KeyEvent } from "../../schemas/key-event.ts";
import { completedBy, consistencyProof, type Hash, leafHash, type NodeAt, rootAt } from "../../schemas/merkle.ts";

/** A server's log; a test may change what it answers. */
export class Log {
  readonly leaves: Uint8Array<ArrayBuffer>[] = [];
  readonly #nodes = new Map<string, Hash>();
  page = 500;
  /** Leaves it claims to have, whatever it has. */
  claimed: number | undefined;
  /** Says that there is no proof. */
  mute = false;
  asked: string[] = [];

  add(...events: KeyEvent[]): this {
    for (const event of events) this.#append(encodeKeyEvent(event));
    return this;
  }

  /** Adds a leaf as it is written in an answer. */
  leaf(text: string): void {
    this.#append(fromBase64url(text) ?? new Uint8Array());
  }

  #append(leaf: Uint8Array<ArrayBuffer>): void {
    const size = this.leaves.push(leaf) - 1;
    for (const [level, hash] of completedBy(leafHash(leaf), size, this.#nodeAt).entries()) {
      this.#nodes.set(`${level}/${Math.floor(size / 2 ** level)}`, hash);
    }
  }

  /** The same up to `size` leaves. */
  copy(size = this.leaves.length): Log {
    const copy = new Log();
    for (const leaf of this.leaves.slice(0, size)) copy.#append(leaf);
    return copy;
  }

  head(size = this.leaves.length) {
    return { size, root: rootAt(size, this.#nodeAt) };
  }

  readonly #nodeAt: NodeAt = (level, index) => this.#nodes.get(`${level}/${index}`) ?? new Uint8Array(32);

  answer(url: URL): unknown {
    this.asked.push(url.pathname);
    const number = (name: string) => Number(url.searchParams.get(name));
    if (url.pathname === "/api/keys/head") {
      const { size, root } = this.head();
      return { size: this.claimed ?? size, root: toBase64url(root) };
    }
    if (url.pathname === "/api/keys/leaves") {
      const from = number("from");
      return { leaves: this.leaves.slice(from, from + this.page).map(toBase64url) };
    }
    const proof = consistencyProof(number("first"), number("second"), this.#nodeAt);
    return { hashes: proof.map(toBase64url) };
  }
}

/** Where a log's server answers; a test may put another log, or none, in its place. */
export function serverOf(log: Log) {
  const at: { log: Log; isDown: boolean } = { log, isDown: false };
  const fetch: typeof globalThis.fetch = async (input) => {
    if (at.isDown) throw new TypeError("the server is down");
    const url = new URL(String(input));
    const refused = { code: "not_found", remedy: "give_up", detail: {} };
    if (at.log.mute && url.pathname === "/api/keys/growth") return Response.json(refused, { status: 404 });
    return Response.json(at.log.answer(url));
  };
  const tokens = { get: async () => "token", drop: () => undefined, adopt: () => undefined };
  return { at, door: { server: "http://localhost", fetch, tokens } };
}

/** A member with one device, as the log gets to know them. */
export async function newMember(tenant: TenantId) {
  const [member, device] = [newId<MemberId>(), newId<DeviceId>()];
  const [identity, { signatureKey }] = [await createIdentityKeys(), await createDeviceKeys()];
  const own = (bytes: Uint8Array) => bytes.slice() as Uint8Array<ArrayBuffer>;
  const deviceEvent = async (id = device, signer = identity): Promise<KeyEvent> => ({
    type: "device",
    member,
    device: id,
    signatureKey: own(signatureKey.publicKey),
    certificate: own(
      await certify(signer.privateKey, { tenant, member, device: id, signatureKey: signatureKey.publicKey }),
    ),
  });
  const memberEvent: KeyEvent = { type: "member", member, identityKey: own(identity.publicKey) };
  const certificate = await certify(identity.privateKey, {
    tenant,
    member,
    device,
    signatureKey: signatureKey.publicKey,
  });
  const claim: Claim = { member, device, identityKey: identity.publicKey, signatureKey: signatureKey.publicKey };
  const me: Me = { tenant, ...claim, certificate, signatureKey };
  return { member, device, identity, claim, me, memberEvent, deviceEvent, events: [memberEvent, await deviceEvent()] };
}
