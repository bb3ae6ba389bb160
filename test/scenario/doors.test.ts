// Proves the engine's doors to the server, requests, tokens and sockets, against the real server, which is also killed meanwhile.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type * as v from "valibot";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { openSqliteStore } from "../../client/cli/store-sqlite.ts";
import { join as enter, signUp } from "../../client/engine/account.ts";
import { type Api, createApi, createDoor, type TokenAnswer } from "../../client/engine/api.ts";
import { createDialer } from "../../client/engine/dialer.ts";
import { sign } from "../../client/engine/group/device-keys.ts";
import { newInvite } from "../../client/engine/invite-link.ts";
import { type Dialer, type Ending, Link } from "../../client/engine/link.ts";
import type { AccountRecord } from "../../client/engine/records.ts";
import { createTokens, type Tokens } from "../../client/engine/token.ts";
import { MailboxServerFrame, ServerFrame } from "../../schemas/frames.ts";
import { type ConversationId, newId } from "../../schemas/ids.ts";
import { DEFAULT_POLICY } from "../../schemas/policy.ts";
import { eachWithServer } from "../support/hooks.ts";
import { Queue } from "../support/loopback.ts";
import { ManualClock } from "../support/manual-clock.ts";
import type { RealServer } from "../support/real-server.ts";

interface Person {
  readonly account: AccountRecord;
  readonly tokens: Tokens;
  readonly api: Api;
}

const folder = mkdtempSync(join(tmpdir(), "kuvert-doors-"));
let server: RealServer;
let profiles = 0;
eachWithServer((its) => {
  server = its;
});
afterAll(() => rmSync(folder, { recursive: true }));

type Entry = (means: Parameters<typeof signUp>[0]) => Promise<{ account: AccountRecord; token: TokenAnswer }>;

/** A person as {@link Entry} lets one in, signed in by challenge from then on. */
async function person(entry: Entry): Promise<Person> {
  const door = createDoor({ server: server.url });
  const store = await openSqliteStore(join(folder, String(profiles++)));
  const { account } = await entry({ door, store });
  await store.close();
  const { tenant, device, signatureKeys } = account;
  const tokens = createTokens({
    door,
    tenant: tenant.id,
    device,
    sign: (bytes) => sign(signatureKeys.privateKey, bytes),
  });
  return { account, tokens, api: createApi({ server: server.url, tokens }) };
}

const owner = (): Promise<Person> =>
  person((means) => signUp(means, { organisation: "Bäckerei", name: "Anna", deviceName: "Laptop", residency: "eu" }));

async function colleague({ api }: Person): Promise<Person> {
  const { link, ...invite } = newInvite(server.url);
  await api.createInvite({ ...invite, role: "member", uses: 1, expiresIn: 60_000 });
  return person((means) => enter(means, { link, name: "Ben", deviceName: "Phone" }));
}

async function found({ api }: Person, others: readonly Person[] = []): Promise<ConversationId> {
  const id = newId<ConversationId>();
  await api.found({ id, members: others.map(({ account }) => account.member.id) });
  return id;
}

const links: { close(): void }[] = [];
afterEach(() => {
  for (const link of links.splice(0)) link.close();
});

function follow<Schema extends v.GenericSchema>(schema: Schema, dialer: Dialer, clock?: ManualClock) {
  const frames = new Queue<v.InferOutput<Schema>>();
  const closed = new Queue<Ending>();
  const link: Link<Schema> = new Link({
    dialer,
    schema,
    onOpen: () => link.send({ type: "resume", after: 0 }),
    onFrame: (frame) => frames.push(frame),
    onClose: (ending) => closed.push(ending),
    ...(clock !== undefined && { clock }),
  });
  links.push(link);
  return { link, frames, closed };
}

const dialerOf = ({ tokens }: Pick<Person, "tokens">, path: string): Dialer =>
  createDialer({ server: server.url, path, tokens });
const socketOf = (conversation: ConversationId): string => `/api/conversations/${conversation}/socket`;

describe("requests", () => {
  test("N22: every route answers in the shape the engine believes", async () => {
    const door = createDoor({ server: server.url });
    expect(await door.about()).toMatchObject({ product: "kuvert", residency: "simulated" });
    const anna = await owner();
    const ben = await colleague(anna);
    expect(await anna.api.tenant()).toMatchObject({ name: "Bäckerei", residency: "eu", policy: DEFAULT_POLICY });
    await anna.api.setPolicy({ ...DEFAULT_POLICY, defaultExpiry: 60_000 });
    expect((await ben.api.tenant()).policy.defaultExpiry).toBe(60_000);
    expect((await ben.api.members()).map(({ name, role }) => `${name} ${role}`).sort()).toEqual([
      "Anna owner",
      "Ben member",
    ]);
    expect((await anna.api.devices()).map(({ name }) => name)).toEqual(["Laptop"]);
    expect((await anna.api.devices(ben.account.member.id)).map(({ name }) => name)).toEqual(["Phone"]);
    const [invite] = await anna.api.invites();
    expect(invite).toMatchObject({ role: "member", usesLeft: 0 });
    await anna.api.setRole(ben.account.member.id, "admin");
    const conversation = await found(anna);
    expect((await anna.api.conversations()).map(({ id }) => id)).toEqual([conversation]);
    await anna.api.admit(conversation, ben.account.member.id);
    expect((await ben.api.conversations()).map(({ id }) => id)).toEqual([conversation]);
    await anna.api.dismiss(conversation, ben.account.member.id);
    expect(await ben.api.conversations()).toEqual([]);
    expect(await anna.api.claimKeyPackages(ben.account.member.id)).toEqual([]);
  });

  test("N22: refusals keep their codes on the way", async () => {
    const [anna, other] = [await owner(), await owner()];
    const ben = await colleague(anna);
    await expect(
      ben.api.createInvite({ ...unlinked(), role: "member", uses: 1, expiresIn: 60_000 }),
    ).rejects.toMatchObject({
      code: "forbidden",
    });
    await expect(other.api.claimKeyPackages(anna.account.member.id)).rejects.toMatchObject({ code: "not_found" });
    await anna.api.removeMember(ben.account.member.id);
    await expect(ben.api.members()).rejects.toMatchObject({ code: "device_revoked" });
  });
});

function unlinked() {
  const { link: _, ...invite } = newInvite(server.url);
  return invite;
}

describe("tokens", () => {
  test("N22: a device signs in by challenge, and a token that is none is replaced once", async () => {
    const anna = await owner();
    anna.tokens.adopt({ token: "not.a.token", now: 0, expiresAt: 600_000 });
    expect((await anna.api.tenant()).name).toBe("Bäckerei");
    expect(await anna.tokens.get()).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);
    expect(await anna.tokens.get()).not.toBe("not.a.token");
  });
});

describe("sockets", () => {
  test("N22: the mailbox and a conversation answer `resume`, and ping is answered with pong", async () => {
    const anna = await owner();
    const clock = new ManualClock();
    const mailbox = follow(MailboxServerFrame, dialerOf(anna, "/api/mailbox/socket"));
    expect(await mailbox.frames.next()).toMatchObject({ type: "ready", stock: 0, lastResort: false });
    const pongs = new Queue<unknown>();
    const dialer = dialerOf(anna, socketOf(await found(anna)));
    const dial = async (): Promise<WebSocket> => {
      const socket = await dialer.dial();
      socket.addEventListener("message", ({ data }) => typeof data === "string" && pongs.push(data));
      return socket;
    };
    const conversation = follow(ServerFrame, { ...dialer, dial }, clock);
    expect(await conversation.frames.next()).toMatchObject({ type: "ready", head: { seq: 0, epoch: 0 } });
    clock.advance(25_000);
    expect(await pongs.next()).toBe("pong");
    clock.advance(24_999);
    expect(conversation.link.open).toBe(true);
  });

  test("N22: a socket with a token that is none is refused, and the next one signs in", async () => {
    const anna = await owner();
    anna.tokens.adopt({ token: "not.a.token", now: 0, expiresAt: 600_000 });
    const { closed, frames } = follow(MailboxServerFrame, dialerOf(anna, "/api/mailbox/socket"));
    expect(await closed.next()).toEqual({ code: 4000, refusal: "unauthenticated", terminal: false });
    expect(await frames.next()).toMatchObject({ type: "ready" });
  });

  test("N22: a foreign conversation, an absent one and a removal end the link for good, by their codes", async () => {
    const [anna, other] = [await owner(), await owner()];
    const ben = await colleague(anna);
    const conversation = await found(anna, [ben]);
    for (const id of [await found(other), newId<ConversationId>()]) {
      const { closed } = follow(ServerFrame, dialerOf(anna, socketOf(id)));
      expect(await closed.next()).toEqual({ code: 4000, refusal: "not_found", terminal: true });
    }
    const mine = follow(ServerFrame, dialerOf(ben, socketOf(conversation)));
    const mailbox = follow(MailboxServerFrame, dialerOf(ben, "/api/mailbox/socket"));
    await mine.frames.next();
    await mailbox.frames.next();
    await anna.api.removeMember(ben.account.member.id);
    expect(await mine.closed.next()).toMatchObject({ terminal: true });
    expect(await mailbox.closed.next()).toEqual({ code: 4000, refusal: "device_revoked", terminal: true });
  });

  test("N22: after a kill -9 of the server the socket is back by itself", async () => {
    const anna = await owner();
    const { frames, closed, link } = follow(MailboxServerFrame, dialerOf(anna, "/api/mailbox/socket"));
    for (let round = 0; round < 2; round++) {
      expect(await frames.next()).toMatchObject({ type: "ready" });
      link.resumed();
      await server.crash();
      expect(await closed.next()).toMatchObject({ refusal: null, terminal: false });
    }
    expect(await frames.next()).toMatchObject({ type: "ready" });
  });
});
