// What a device concludes from its tenant's key log: whom it lets onto a leaf, whose key has changed, and what it tells a person about.

import { expect, test } from "vitest";
import { Findings } from "../../client/engine/findings.ts";
import type { Claim } from "../../client/engine/group/state.ts";
import { KeyWatch } from "../../client/engine/key-watch.ts";
import { Live } from "../../client/engine/live.ts";
import { People } from "../../client/engine/people.ts";
import { Batch, decodeRecord, encodeRecord, type PersonRecord } from "../../client/engine/records.ts";
import { Safety } from "../../client/engine/safety.ts";
import { Trust } from "../../client/engine/trust.ts";
import { randomBytes } from "../../schemas/bytes.ts";
import { type DeviceId, newId, type TenantId } from "../../schemas/ids.ts";
import type { KeyEvent } from "../../schemas/key-event.ts";
import { Log, newMember as newMemberOf, serverOf } from "../support/fake-key-log.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { memoryStore } from "../support/memory-store.ts";

const tenant = newId<TenantId>();
const newMember = () => newMemberOf(tenant);
type Member = Awaited<ReturnType<typeof newMember>>;

/** A device of `own` that watches `log`. */
async function watcher(own: Member, log: Log, store = memoryStore()) {
  const clock = new ManualClock();
  const { at, door } = serverOf(log);
  const people = await People.load(store, new Live());
  const [trust, findings] = await Promise.all([Trust.load(store), Findings.load(store)]);
  const keys = await KeyWatch.load({
    ...door,
    store,
    tenant,
    me: own.me,
    people,
    trust,
    findings,
    clock,
    now: () => 7,
    changed: () => undefined,
    fault: (error) => {
      throw error;
    },
  });
  const found = () => findings.open.map(({ kind, member }) => ({ kind, member }));
  return { store, at, clock, people, trust, findings, keys, found };
}

/** A minute, and all that happens in it. */
async function pass(clock: ManualClock): Promise<void> {
  clock.advance(60_000);
  await new Promise<void>((resolve) => setImmediate(resolve));
}

async function company() {
  const [anna, bert] = [await newMember(), await newMember()];
  const log = new Log().add(...anna.events, ...bert.events);
  return { anna, bert, log, ...(await watcher(anna, log)) };
}

test("J9: a device is trusted only as the log has it, certified by the identity key the log has for its member", async () => {
  const { anna, bert, keys, found } = await company();
  expect(keys.trust(anna.claim)).toBe(true);
  expect(keys.trust(bert.claim)).toBe(false);
  expect(await keys.looked()).toBe(true);
  expect(keys.trust(bert.claim)).toBe(true);
  expect(found()).toEqual([]);
  const lies: Claim[] = [
    { ...bert.claim, identityKey: anna.claim.identityKey },
    { ...bert.claim, signatureKey: anna.claim.signatureKey },
    { ...bert.claim, member: anna.member },
    { ...bert.claim, device: newId<DeviceId>() },
    { ...anna.claim, signatureKey: bert.claim.signatureKey },
  ];
  for (const lie of lies) expect(keys.trust(lie)).toBe(false);
});

test("J10: what the log has had counts for ever for who enters, but nobody who is out is brought in anew", async () => {
  const { anna, bert, log, keys } = await company();
  const carl = await newMember();
  log.add(...carl.events, { type: "revoked", member: bert.member, device: bert.device });
  log.add({ type: "member", member: carl.member, identityKey: randomBytes(32) });
  await keys.look();
  for (const { claim, member, device } of [bert, carl]) {
    expect(keys.trust(claim)).toBe(true);
    expect([keys.isInUse({ member, device }), keys.isOut(device)]).toEqual([false, true]);
  }
  expect(keys.isInUse(anna)).toBe(true);
  log.add({ type: "removed", member: anna.member });
  await keys.look();
  expect(keys.isOut(anna.device)).toBe(true);
  expect(keys.isOut(newId<DeviceId>())).toBe(false);
});

test("J12: somebody the log still does not have once it was read again is told as a ghost, another identity key as a swap", async () => {
  const { bert, keys, found, findings, store } = await company();
  await keys.look();
  const ghost = { ...bert.claim, device: newId<DeviceId>() };
  expect(keys.trust(ghost)).toBe(false);
  expect(found()).toEqual([]);
  await keys.look();
  expect(found()).toEqual([{ kind: "ghost", member: bert.member }]);
  expect(keys.trust({ ...ghost, device: newId<DeviceId>(), identityKey: randomBytes(32) })).toBe(false);
  await keys.look();
  expect(found().map(({ kind }) => kind)).toEqual(["ghost", "swapped"]);
  // The same ghost again is no news; a finding stays until a person has taken note of it, for good
  keys.trust(ghost);
  await keys.look();
  expect(findings.open).toHaveLength(2);
  for (const { id } of findings.open) await keys.note(id);
  keys.trust(ghost);
  await keys.look();
  expect([findings.open, (await Findings.load(store)).open]).toEqual([[], []]);
});

test("J12: a device in the log that its member has not certified is told as a ghost, an own identity key that is not one's own as a swap", async () => {
  const { anna, bert, log, keys, found } = await company();
  const mallory = await newMember();
  await keys.look();
  log.add(await bert.deviceEvent(newId<DeviceId>(), mallory.identity));
  log.add({ type: "member", member: anna.member, identityKey: randomBytes(32) });
  await keys.look();
  expect(found()).toEqual([
    { kind: "ghost", member: bert.member },
    { kind: "swapped", member: anna.member },
  ]);
});

test("J12: a log that was rolled back or forked is told, and nothing of it is believed", async () => {
  const { bert, log, keys, at, found } = await company();
  await keys.look();
  const { head } = keys;
  at.log = log.copy(2);
  expect(await keys.look()).toBe(false);
  const carl = await newMember();
  at.log = log.copy(3).add(...carl.events);
  expect(await keys.look()).toBe(false);
  expect(found().map(({ kind }) => kind)).toEqual(["rolled_back", "forked"]);
  expect(keys.head).toEqual(head);
  expect([keys.trust(bert.claim), keys.trust(carl.claim)]).toEqual([true, false]);
  at.log = log;
  expect(await keys.look()).toBe(true);
});

test("J9: a server that is down is asked again and again, and whoever waits is let go when the engine closes", async () => {
  const { bert, keys, at, clock } = await company();
  at.isDown = true;
  let looked: boolean | undefined;
  const waiting = keys.looked().then((outcome) => {
    looked = outcome;
  });
  for (let minute = 0; minute < 5; minute++) await pass(clock);
  expect(looked).toBeUndefined();
  at.isDown = false;
  for (let minute = 0; minute < 3 && looked === undefined; minute++) await pass(clock);
  await waiting;
  expect([looked, keys.trust(bert.claim)]).toEqual([true, true]);
  at.isDown = true;
  const last = keys.looked();
  await pass(clock);
  keys.close();
  expect(await last).toBe(false);
});

test("J11: a head that others have seen is compared once; one that does not agree is told with whose it is", async () => {
  const { bert, log, keys, at, found } = await company();
  await keys.look();
  const older = log.head(3);
  const settled = () => expect.poll(() => keys.idle).toBe(true);
  for (const head of [older, older, log.head(), { size: 0, root: log.head(0).root }]) keys.heard(head, bert.member);
  await settled();
  keys.heard(older, bert.member);
  await settled();
  expect(log.asked.filter((path) => path === "/api/keys/growth")).toHaveLength(1);
  const carl = await newMember();
  log.add(...carl.events);
  keys.heard(log.head(), carl.member);
  await settled();
  expect([keys.trust(carl.claim), found()]).toEqual([true, []]);
  // Two histories that part after the third leaf
  const theirs = log.copy(3).add(...(await newMember()).events, ...(await newMember()).events);
  keys.heard(theirs.head(5), bert.member);
  await settled();
  expect(found()).toEqual([{ kind: "forked", member: bert.member }]);
  at.log = log;
});

test("I6: a key that changed is told once to the conversations of its member, also after a crash", async () => {
  const { anna, bert, log, keys, trust, store, people } = await company();
  await keys.look();
  expect([keys.changedKeys, trust.of(bert.member)?.state]).toEqual([[], "known"]);
  const next = randomBytes(32);
  log.add({ type: "member", member: bert.member, identityKey: next });
  await keys.look();
  expect(people.key(bert.member)).toEqual(next);
  const again = await watcher(anna, log, store);
  for (const { keys: one, trust: held } of [{ keys, trust }, again]) {
    expect(one.changedKeys).toEqual([bert.member]);
    expect(held.of(bert.member)).toEqual({ state: "changed", since: 7, wasVerified: false });
  }
  // A profile made from a backup that knew the key of before finds out as well
  const restored = memoryStore();
  for (const { key, value } of await store.scan("people")) {
    const person = decodeRecord<PersonRecord>(value);
    const known = { ...person, identityKey: bert.claim.identityKey };
    await restored.write([{ table: "people", key, value: encodeRecord(known) }]);
  }
  const third = await watcher(anna, log, restored);
  await third.keys.look();
  expect([third.keys.changedKeys, third.trust.of(bert.member)?.state]).toEqual([[bert.member], "changed"]);
  await again.keys.told([bert.member]);
  expect((await watcher(anna, log, store)).keys.changedKeys).toEqual([]);
});

test("J25: an entry that nobody here can read counts for nothing and is said once, also after a restart", async () => {
  const { anna, bert, log, keys, found, findings, store } = await company();
  log.add({ type: "other" } as unknown as KeyEvent, { type: "another" } as unknown as KeyEvent);
  expect(await keys.looked()).toBe(true);
  expect(found()).toEqual([{ kind: "unreadable", member: null }]);
  const batch = new Batch();
  findings.note(batch, findings.open[0]?.id ?? "");
  await store.write(batch.writes);
  findings.settle();
  log.add({ type: "other" } as unknown as KeyEvent);
  const again = await watcher(anna, log, store);
  expect(await again.keys.looked()).toBe(true);
  expect(again.found()).toEqual([]);
  expect(again.people.key(bert.member)).not.toBeNull();
});

test("I5: a directory that names a key the log never had is told of, and the number stays that of the log's key", async () => {
  const { bert, log, keys, people, store, trust, found } = await company();
  const member = { id: newId<never>(), name: "Anna", role: "member" } as const;
  const identityKeys = (await newMember()).identity;
  const account = () => ({ tenant: { id: tenant }, member, identityKeys }) as never;
  const [decide, decided] = [() => undefined, () => undefined];
  const safety = new Safety({ store, people, trust, account, now: () => 9, decide, decided });
  await keys.look();
  await keys.judge([[bert.member, bert.claim.identityKey]]);
  const before = safety.of(bert.member);
  expect(before).toMatchObject({ since: 7, verifiedAt: null, contradicted: false });
  await keys.judge([[bert.member, randomBytes(32)]]);
  expect(safety.of(bert.member)).toEqual({ ...before, contradicted: true });
  expect(found()).toEqual([{ kind: "swapped", member: bert.member }]);
  // A directory that lags behind a change names an older key, which is no lie
  const rekeyed: KeyEvent = { type: "member", member: bert.member, identityKey: randomBytes(32) };
  log.add(rekeyed);
  await keys.look();
  await keys.judge([[bert.member, bert.claim.identityKey]]);
  expect(people.isContradicted(bert.member)).toBe(false);
});
