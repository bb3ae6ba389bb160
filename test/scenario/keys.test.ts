// A server that plays tricks with keys, between engines and a real one: what it shows is noticed, said in a sentence, and never believed.

import { describe, expect, test } from "vitest";
import { run, type World } from "../../client/cli/run.ts";
import { loadAccount } from "../../client/engine/account.ts";
import { confirmPending } from "../../client/engine/group/commit.ts";
import { certify, createDeviceKeys, createIdentityKeys } from "../../client/engine/group/device-keys.ts";
import { seal } from "../../client/engine/group/group.ts";
import { joinExternally } from "../../client/engine/group/join.ts";
import { createKeyPackages } from "../../client/engine/group/key-packages.ts";
import type { Me } from "../../client/engine/group/state.ts";
import { toBase64url } from "../../schemas/bytes.ts";
import { chain, digestOf } from "../../schemas/chain.ts";
import { encodeContent } from "../../schemas/content.ts";
import type { ClientFrame } from "../../schemas/frames.ts";
import { type ConversationId, type DeviceId, newId, type TenantId } from "../../schemas/ids.ts";
import type { KeyEvent } from "../../schemas/key-event.ts";
import type { Company, Person } from "../support/company.ts";
import { Log } from "../support/fake-key-log.ts";
import { eachWithCompany } from "../support/hooks.ts";
import type { Incoming } from "../support/tampered-socket.ts";

let company: Company;

const OPERATOR = "o".repeat(32);
let url: string;

eachWithCompany(
  (fresh, server) => {
    company = fresh;
    url = server.url;
  },
  { env: { KUVERT_OPERATOR_SECRET: OPERATOR } },
);

/** What a command says on standard output, as an object. */
async function said(argv: readonly string[], env: World["env"]): Promise<Record<string, unknown>> {
  let out = "";
  const code = await run({
    argv: [...argv, "--json"],
    env,
    out: { write: (text) => (out += text) },
    err: { write: () => undefined },
    now: Date.now,
    interrupted: new AbortController().signal,
    readInput: async () => "",
    ask: async () => "",
    open: () => Promise.reject(new Error("this command has no profile")),
  });
  expect(code).toBe(0);
  return JSON.parse(out);
}

/** Answers what `instead` has an answer for, and lets everything else through. */
function middle(instead: (url: URL, real: () => Promise<Response>) => Promise<Response> | undefined): typeof fetch {
  return (input, init) => {
    const real = () => fetch(input, init);
    return instead(new URL(String(input)), real) ?? real();
  };
}

/** A key log of the middleman's own, grown from the real one and then from whatever is put into it. */
class Fork {
  readonly log = new Log();
  /** Before, the real log is shown. */
  isOpen = false;

  readonly fetch = middle((url, real) => {
    if (!url.pathname.startsWith("/api/keys/")) return undefined;
    if (this.isOpen) return Promise.resolve(Response.json(this.log.answer(url)));
    return url.pathname === "/api/keys/leaves" ? this.#note(real) : undefined;
  });

  add(...events: KeyEvent[]): void {
    this.log.add(...events);
  }

  async #note(real: () => Promise<Response>): Promise<Response> {
    const answer = (await (await real()).json()) as { leaves: string[] };
    for (const leaf of answer.leaves) this.log.leaf(leaf);
    return Response.json(answer);
  }
}

const found = ({ engine }: Person) => engine.snapshot().findings.map(({ kind, member }) => ({ kind, member }));

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const safely = async (): Promise<boolean> => holds();
  await expect.poll(() => safely().catch(() => false), { interval: 10 }).toBe(true);
}

/** A device that claims to be one of `victim`'s; with the victim's own identity key only if that was stolen. */
async function ghostOf(victim: Person, identity?: Awaited<ReturnType<typeof createIdentityKeys>>): Promise<Me> {
  const { publicKey: identityKey, privateKey } = identity ?? (await createIdentityKeys());
  const { signatureKey } = await createDeviceKeys();
  const tenant = victim.engine.snapshot().account?.tenant.id as TenantId;
  const names = { tenant, member: victim.id, device: newId<DeviceId>() };
  const certificate = await certify(privateKey, { ...names, signatureKey: signatureKey.publicKey });
  return { ...names, identityKey, certificate, signatureKey };
}

describe("whom the key log does not have gets in nowhere", () => {
  test("J9, J12: key packages of a ghost in place of the real ones: nobody is added, and the person is told", async () => {
    const [anna, bert] = (await company.found("Anna", "Bert")) as [Person, Person];
    const ghost = await ghostOf(bert);
    const [keyPackage] = await createKeyPackages({ me: ghost, count: 1, lastResort: false, now: Date.now() });
    const swapped = { device: ghost.device, bytes: toBase64url(keyPackage?.publicBytes ?? new Uint8Array()) };
    const real = new Set<string>();
    const fetch = middle((url, ask) => {
      if (!url.pathname.endsWith("/key-packages") || !url.pathname.includes(bert.id)) return undefined;
      return ask().then(async (response) => {
        const { packages } = (await response.json()) as { packages: { device: string }[] };
        for (const { device } of packages) real.add(device);
        // Once under a name of its own, once under the name of the real device
        const [device] = real;
        return Response.json({ packages: [swapped, { ...swapped, device }] });
      });
    });
    await anna.reopen({ fetch });
    await anna.settled();
    const id = await anna.engine.create({ title: "Backstube", members: [bert.id] });
    await until(() => found(anna).length > 0);
    expect(found(anna)).toEqual([{ kind: "swapped", member: bert.id }]);
    const { devices } = await anna.engine.encryption(id);
    expect(devices.map(({ member }) => member)).toEqual([anna.id]);
  });

  test("J9: while the key log cannot be read, a newcomer is waited for, and taken in once it can", async () => {
    const { anna, bert, id } = await company.pair();
    let isDown = false;
    const down = () => Promise.resolve(new Response("", { status: 502 }));
    const fetch = middle((url) => (isDown && url.pathname.startsWith("/api/keys/") ? down() : undefined));
    await bert.reopen({ fetch });
    await bert.settled();
    isDown = true;
    const carl = await company.join(anna, "Carl");
    await anna.engine.add(id, [carl.id]);
    await anna.engine.send(id, "Willkommen, Carl");
    await anna.settled();
    await carl.shows(id, ["Willkommen, Carl"]);
    await bert.engine.send(id, "Bin gleich da");
    expect(await bert.texts(id)).toEqual(["Bin gleich da"]);
    expect((await bert.engine.encryption(id)).devices).toHaveLength(2);
    isDown = false;
    await bert.shows(id, ["Willkommen, Carl", "Bin gleich da"]);
    await carl.shows(id, ["Willkommen, Carl", "Bin gleich da"]);
    expect([bert, carl].flatMap(found)).toEqual([]);
  });
});

/** Lets a ghost into a conversation behind its people's backs: everything it makes fits the log as the victim is shown it. */
class Haunting {
  readonly #ghost: Me;
  #groupInfo: Uint8Array | null = null;
  #envelopes: readonly Uint8Array<ArrayBuffer>[] = [];
  /** What the ghost says once it believes to be in. */
  static readonly SAYS = "Ich bin es, Bert";

  constructor(ghost: Me) {
    this.#ghost = ghost;
  }

  /** The newest GroupInfo is on its way to the server with every commit. */
  readonly outgoing = (frame: ClientFrame): readonly ClientFrame[] => {
    if (frame.type === "commit") this.#groupInfo = frame.groupInfo;
    return [frame];
  };

  /** After the next envelopes come the ghost's commit and its first message. */
  readonly incoming = (frame: Incoming): readonly Incoming[] => {
    if (frame.type !== "envelopes" || this.#envelopes.length === 0) return [frame];
    let { hash, head } = frame;
    const envelopes = this.#envelopes.map((bytes) => {
      const id = crypto.getRandomValues(new Uint8Array(16));
      head += 1;
      hash = chain(hash, head, digestOf(id, bytes));
      return { id, seq: head, bytes, digest: null, acceptedAt: frame.now, expiresAt: null };
    });
    this.#envelopes = [];
    return [frame, { ...frame, envelopes, hash, head }];
  };

  async begin(conversation: ConversationId): Promise<void> {
    const context = { me: this.#ghost, trust: () => true, mayChange: () => true };
    const groupInfo = this.#groupInfo ?? new Uint8Array();
    const order = { groupInfo, context, conversation, generation: 0, now: Date.now() };
    const made = await joinExternally(order);
    if (made.kind !== "committed") throw new Error(made.reason);
    const { group } = confirmPending(made.group);
    const content = encodeContent({
      type: "text",
      text: Haunting.SAYS,
      expiresIn: null,
      sentAt: Date.now(),
      seen: { seq: 0, hash: new Uint8Array(32) },
      keys: { size: 0, root: new Uint8Array(32) },
    });
    const own = (bytes: Uint8Array) => bytes.slice() as Uint8Array<ArrayBuffer>;
    this.#envelopes = [own(made.bundle.commit), own((await seal(group, content)).bytes)];
  }
}

describe("a ghost in a conversation", () => {
  test("J12, J9: its commit is followed by nobody, what it says is shown to nobody, and the person is told", async () => {
    const [anna, bert] = (await company.found("Anna", "Bert")) as [Person, Person];
    const account = await loadAccount(bert.store);
    // Even the member's own identity key makes no device that the log does not have
    const haunting = new Haunting(await ghostOf(bert, account?.identityKeys));
    const { incoming, outgoing } = haunting;
    await anna.reopen({ tampering: { incoming, outgoing } });
    const id = await anna.engine.create({ title: "Backstube", members: [bert.id] });
    await anna.settled();
    await bert.settled();
    await haunting.begin(id);
    await bert.engine.send(id, "echt");
    await until(() => found(anna).length > 0);
    expect(found(anna)).toEqual([{ kind: "ghost", member: bert.id }]);
    await anna.engine.send(id, "Hört das jemand?");
    const { devices } = await anna.engine.encryption(id);
    expect(devices.map(({ member }) => member).sort()).toEqual([anna.id, bert.id].sort());
    expect((await anna.texts(id)).slice(0, 1)).toEqual(["echt"]);
    expect(await anna.texts(id)).not.toContain(Haunting.SAYS);
  });

  test("J12: a directory that swaps a key, and a log into which a ghost is written, are told as well", async () => {
    const { anna, bert } = await company.pair();
    const fork = new Fork();
    let isSwapped = false;
    const swap = middle((url, real) => {
      if (url.pathname !== "/api/members" || !isSwapped) return undefined;
      return real().then(async (response) => {
        const { members } = (await response.json()) as { members: { id: string; identityKey: string }[] };
        const identityKey = toBase64url(crypto.getRandomValues(new Uint8Array(32)));
        return Response.json({ members: members.map((one) => (one.id === bert.id ? { ...one, identityKey } : one)) });
      });
    });
    const fetch: typeof globalThis.fetch = (input, init) =>
      (new URL(String(input)).pathname.startsWith("/api/keys/") ? fork.fetch : swap)(input, init);
    await anna.forgetKeys();
    await anna.reopen({ fetch });
    await anna.settled();
    expect(found(anna)).toEqual([]);
    isSwapped = true;
    await anna.reopen({ fetch });
    await until(() => found(anna).length === 1);
    expect(found(anna)).toEqual([{ kind: "swapped", member: bert.id }]);
    isSwapped = false;
    fork.isOpen = true;
    const ghost = await ghostOf(bert);
    const own = (bytes: Uint8Array) => bytes.slice() as Uint8Array<ArrayBuffer>;
    const { member, device, certificate, signatureKey } = ghost;
    fork.add({
      type: "device",
      member,
      device,
      signatureKey: own(signatureKey.publicKey),
      certificate: own(certificate),
    });
    await anna.reopen({ fetch });
    await until(() => found(anna).length === 2);
    expect(found(anna)[1]).toEqual({ kind: "ghost", member: bert.id });
    const { problems, events } = await anna.engine.auditKeys();
    expect([problems, events.at(-1)?.problem]).toEqual([["bad_leaf"], "uncertified"]);
  });
});

describe("a key that changed", () => {
  test("I6, I7: nothing is sent to somebody verified whose key is another now, until a person has looked; others get a line", async () => {
    const { anna, bert, id } = await company.pair();
    const carl = await company.join(anna, "Carl");
    await anna.engine.add(id, [carl.id]);
    await anna.settled();
    const fork = new Fork();
    await anna.forgetKeys();
    await anna.reopen({ fetch: fork.fetch });
    await anna.settled();
    await anna.engine.verify(bert.id, true);
    const keys = () => new Map(anna.engine.snapshot().members.map((member) => [member.id, member.key]));
    expect([keys().get(bert.id), keys().get(carl.id)]).toEqual(["verified", "known"]);
    const { number } = await anna.engine.safety(bert.id);
    fork.isOpen = true;
    for (const { id: member } of [bert, carl]) {
      fork.add({ type: "member", member, identityKey: crypto.getRandomValues(new Uint8Array(32)) });
    }
    await anna.reopen({ fetch: fork.fetch });
    await until(() => keys().get(bert.id) === "changed" && keys().get(carl.id) === "changed");
    const state = () => anna.engine.snapshot().conversations[0];
    expect(state()?.held).toEqual({ reason: "changed", members: [bert.id] });
    const key = await anna.engine.send(id, "Bist du es?");
    // Waiting for a person is all there is to do, also after a restart
    await anna.settled();
    await anna.reopen({ fetch: fork.fetch });
    await anna.settled();
    const line = (await anna.lines(id)).find((each) => each.key === key);
    expect(line?.state).toBe("waiting");
    const notices = (await anna.lines(id)).flatMap(({ body }) => (body.kind === "rekeyed" ? [body.member] : []));
    expect(new Set(notices)).toEqual(new Set([bert.id, carl.id]));
    expect(notices).toHaveLength(2);
    const now = await anna.engine.safety(bert.id);
    expect([now.state, now.wasVerified, now.number === number]).toEqual(["changed", true, false]);
    expect(await bert.texts(id)).toEqual([]);
  });

  test("I8: nothing is sent while somebody is in the group whom the key log says is out", async () => {
    const { anna, bert, id } = await company.pair();
    const fork = new Fork();
    await anna.forgetKeys();
    await anna.reopen({ fetch: fork.fetch });
    await anna.settled();
    fork.isOpen = true;
    const device = bert.engine.snapshot().account?.device as DeviceId;
    fork.add({ type: "revoked", member: bert.id, device });
    await anna.reopen({ fetch: fork.fetch });
    await anna.settled();
    await anna.engine.send(id, "Wer hört mit?");
    await until(() => anna.engine.snapshot().conversations[0]?.held != null);
    expect(anna.engine.snapshot().conversations[0]?.held).toEqual({ reason: "leaving", members: [bert.id] });
    expect((await anna.lines(id)).at(-1)?.state).toBe("waiting");
    expect((await anna.engine.encryption(id)).devices.find(({ member }) => member === bert.id)?.certified).toBe(false);
    expect(await bert.texts(id)).toEqual([]);
  });

  test("I9: what the other one's screen shows is scanned: a match counts as compared, a mismatch does not", async () => {
    const { anna, bert } = await company.pair();
    const shown = await bert.engine.safety(anna.id);
    expect(shown.number).toBe((await anna.engine.safety(bert.id)).number);
    expect(await anna.engine.scanSafety(bert.id, (await anna.engine.safety(bert.id)).code)).toBe("other_person");
    expect(await anna.engine.scanSafety(bert.id, "https://example.org")).toBe("unreadable");
    expect((await anna.engine.safety(bert.id)).state).toBe("known");
    expect(await anna.engine.scanSafety(bert.id, shown.code)).toBe("match");
    expect((await anna.engine.safety(bert.id)).state).toBe("verified");
    await anna.engine.verify(bert.id, false);
    expect((await anna.engine.safety(bert.id)).state).toBe("known");
  });
});

describe("a member who lost everything", () => {
  test("I10, I7: is invited anew, is in every conversation again with a new key, and everybody who knew the old one is told", async () => {
    const { anna, bert, id } = await company.pair();
    const carl = await company.join(anna, "Carl");
    await anna.engine.add(id, [carl.id]);
    await anna.engine.expire(id, 3_600_000);
    await until(async () => (await bert.engine.encryption(id)).devices.length === 3);
    await bert.engine.send(id, "vorher");
    for (const person of [anna, carl]) await person.shows(id, ["vorher"]);
    await anna.engine.verify(bert.id, true);
    const before = (await anna.engine.safety(bert.id)).number;
    const link = await anna.engine.inviteAgain(bert.id, 3_600_000);
    const again = company.person("Bert's new laptop");
    await again.open();
    expect(await again.engine.previewInvite(link)).toMatchObject({ returning: "Bert", role: "member" });
    await again.engine.join({ link, name: "", deviceName: "Neu" });
    expect(again.id).toBe(bert.id);
    await until(() => bert.engine.snapshot().phase === "ended");
    const keyOf = (person: Person) => person.engine.snapshot().members.find((one) => one.id === again.id)?.key;
    await until(() => keyOf(anna) === "changed" && keyOf(carl) === "changed");
    for (const person of [anna, carl]) {
      await until(async () => (await person.lines(id)).some(({ body }) => body.kind === "rekeyed"));
    }
    // Its device waits for a welcome before it lets itself in
    await again.engine.settled(30_000);
    await until(() => again.engine.snapshot().conversations[0]?.state === "active");
    // Anna had verified the key of before: what she writes waits for her. Carl had not: he goes on
    await anna.engine.send(id, "Bist du es, Bert?");
    await carl.engine.send(id, "Willkommen zurück");
    await again.shows(id, ["Willkommen zurück"]);
    await carl.shows(id, ["vorher", "Willkommen zurück"]);
    await expect
      .poll(() => anna.engine.snapshot().conversations[0]?.held)
      .toEqual({ reason: "changed", members: [again.id] });
    expect((await anna.lines(id)).find(({ body }) => body.kind === "text" && body.text.startsWith("Bist"))?.state).toBe(
      "waiting",
    );
    const shown = await again.engine.safety(anna.id);
    expect([shown.number === before, (await anna.engine.safety(again.id)).number]).toEqual([false, shown.number]);
    expect(await anna.engine.scanSafety(again.id, shown.code)).toBe("match");
    await again.shows(id, ["Willkommen zurück", "Bist du es, Bert?"]);
    await again.engine.send(id, "Ja!");
    for (const person of [anna, carl, again]) await until(async () => (await person.texts(id)).at(-1) === "Ja!");
    // Whoever comes back with nothing is told how the conversation is set
    await until(() => again.engine.snapshot().conversations[0]?.title === "Backstube");
    const { devices } = await anna.engine.encryption(id);
    expect(devices.filter(({ member }) => member === again.id)).toEqual([
      { member: again.id, device: again.engine.snapshot().account?.device, certified: true },
    ]);
    expect([anna, carl, again].flatMap(found)).toEqual([]);
    expect((await anna.engine.auditKeys()).problems).toEqual([]);
  });
});

test("I30, L56: an owner who lost everything comes back by the operator's link, is the owner with a new key, and everybody is told", async () => {
  const { anna, bert, id } = await company.pair();
  await bert.engine.send(id, "vorher");
  await anna.shows(id, ["vorher"]);
  const tenant = anna.engine.snapshot().account?.tenant.id ?? "";
  const command = ["operator", "return-owner", tenant, "--server", url];
  const { link } = await said(command, { OPERATOR_SECRET: OPERATOR });
  const again = company.person("Anna's new laptop");
  await again.open();
  const preview = await again.engine.previewInvite(String(link));
  expect(preview).toMatchObject({ returning: "Anna", role: "owner", inviter: null });
  await again.engine.join({ link: String(link), name: "", deviceName: "Neu" });
  expect([again.id, again.engine.snapshot().account?.member.role]).toEqual([anna.id, "owner"]);
  await until(() => anna.engine.snapshot().phase === "ended");
  await until(() => bert.engine.snapshot().members.find((one) => one.id === again.id)?.key === "changed");
  await until(async () => (await bert.lines(id)).some(({ body }) => body.kind === "rekeyed"));
  await again.engine.settled(30_000);
  await until(() => again.engine.snapshot().conversations[0]?.state === "active");
  await bert.engine.send(id, "Willkommen zurück");
  await again.shows(id, ["Willkommen zurück"]);
  await again.engine.setRole(bert.id, "admin");
  await until(() => bert.engine.snapshot().account?.member.role === "admin");
  expect((await again.engine.invites()).find(({ byOperator }) => byOperator)).toMatchObject({ usesLeft: 0 });
  expect((await bert.engine.auditKeys()).problems).toEqual([]);
});

describe("a key log that lies", () => {
  test("J11: two people who are shown two logs learn so from the first message between them", async () => {
    const { anna, bert, id } = await company.pair();
    const fork = new Fork();
    await bert.close();
    await bert.open({ fetch: fork.fetch });
    await bert.settled();
    await bert.forgetKeys();
    await bert.reopen({ fetch: fork.fetch });
    await bert.settled();
    // From here on Bert is shown a device that Anna is not shown
    fork.isOpen = true;
    const mallory = await ghostOf(anna);
    fork.add({
      type: "member",
      member: newId(),
      identityKey: mallory.identityKey.slice() as Uint8Array<ArrayBuffer>,
    });
    await bert.reopen({ fetch: fork.fetch });
    await bert.settled();
    expect([anna, bert].flatMap(found)).toEqual([]);
    await bert.engine.send(id, "Guten Morgen");
    await anna.shows(id, ["Guten Morgen"]);
    await until(() => found(anna).length > 0);
    expect(found(anna)).toEqual([{ kind: "forked", member: bert.id }]);
  });

  test("J12: a log that was rolled back or begun anew is told, and conversations go on with those who are in them", async () => {
    const { anna, bert, id } = await company.pair();
    const other = new Log();
    const fetch = middle((url) =>
      url.pathname.startsWith("/api/keys/") ? Promise.resolve(Response.json(other.answer(url))) : undefined,
    );
    await anna.reopen({ fetch });
    await until(() => found(anna).length === 1);
    for (let index = 0; index < 9; index++) {
      other.add({ type: "removed", member: newId() });
    }
    await anna.reopen({ fetch });
    await until(() => found(anna).length === 2);
    expect(found(anna)).toEqual([
      { kind: "rolled_back", member: null },
      { kind: "forked", member: null },
    ]);
    await anna.engine.send(id, "Hörst du mich?");
    await bert.shows(id, ["Hörst du mich?"]);
    for (const { id: finding } of anna.engine.snapshot().findings) await anna.engine.noteFinding(finding);
    expect(found(anna)).toEqual([]);
  });
});
