// Gaining and losing devices against a real server: back from nothing by a phrase, and a second device by a code, both with their history
// and in their conversations again without anybody's help.

import { describe, expect, test } from "vitest";
import { openSqliteStore } from "../../client/cli/store-sqlite.ts";
import { loadAccount } from "../../client/engine/account.ts";
import { createApi, createDoor } from "../../client/engine/api.ts";
import { engineRows } from "../../client/engine/backup/engine-rows.ts";
import { keepBackup } from "../../client/engine/backup/keeper.ts";
import { packMembership } from "../../client/engine/backup/membership.ts";
import { sign } from "../../client/engine/group/device-keys.ts";
import { KeyLog } from "../../client/engine/key-log.ts";
import { linkKeys, readCode } from "../../client/engine/linking/code.ts";
import {
  endHistory,
  fetchHistory,
  handOver,
  sealHistory,
  shelfOf,
  takeOver,
} from "../../client/engine/linking/hand-over.ts";
import { enterCode, showCode, takeCode } from "../../client/engine/linking/linking.ts";
import { isHistoryPending } from "../../client/engine/linking/pending.ts";
import type { AccountRecord } from "../../client/engine/records.ts";
import { comeBack } from "../../client/engine/recovery/come-back.ts";
import { createPhrase, recoveryKeys } from "../../client/engine/recovery/phrase.ts";
import { createEnrolment } from "../../client/engine/recovery/recovery.ts";
import { Safekeeping } from "../../client/engine/safekeeping.ts";
import { createTokens } from "../../client/engine/token.ts";
import { createVault } from "../../client/engine/vault.ts";
import { randomBytes } from "../../schemas/bytes.ts";
import type { ConversationId } from "../../schemas/ids.ts";
import type { Company, Person } from "../support/company.ts";
import { eachWithCompany } from "../support/hooks.ts";
import { ManualClock } from "../support/manual-clock.ts";
import type { RealServer } from "../support/real-server.ts";

const DAY = 86_400_000;
let server: RealServer;
let company: Company;

eachWithCompany((fresh, its) => {
  company = fresh;
  server = its;
});

async function accountOf(person: Person): Promise<AccountRecord> {
  const account = await loadAccount(person.store);
  if (account === undefined) throw new Error(`${person.name} has no account`);
  return account;
}

const door = () => ({ server: server.url });

function tokensOf({ tenant, device, signatureKeys }: AccountRecord) {
  const options = { door: createDoor(door()), tenant: tenant.id, device };
  return createTokens({ ...options, sign: (payload) => sign(signatureKeys.privateKey, payload) });
}

/** Two people who have talked; some of it expires, but not today. */
async function talk(): Promise<{ anna: Person; bert: Person; id: ConversationId; said: string[] }> {
  const { anna, bert, id } = await company.pair();
  const said: string[] = [];
  for (const [index, from] of [anna, bert, anna, bert].entries()) {
    said.push(`Brot ${index}`);
    await from.engine.send(id, `Brot ${index}`, index === 2 ? 10 * DAY : null);
    await anna.shows(id, said);
    await bert.shows(id, said);
  }
  await anna.engine.read(id);
  await anna.settled();
  return { anna, bert, id, said };
}

async function backUp(person: Person, keys: Awaited<ReturnType<typeof recoveryKeys>>) {
  const account = await accountOf(person);
  const [tenant, member] = [account.tenant.id, account.member.id];
  const tokens = tokensOf(account);
  await createEnrolment({ ...door(), tokens }).enrol({ tenant, member }, keys);
  const vault = createVault({ ...door(), tokens, shelf: "backup" });
  const portable = engineRows({ note: () => undefined });
  const options = { keys: { tenant, member, backupKey: keys.backupKey }, device: account.device, store: person.store };
  return keepBackup(
    { ...options, shelf: "backup", vault, portable, now: Date.now },
    { account: packMembership(account) },
  );
}

describe("recovery", () => {
  test("Y6: whoever lost everything is back by 24 words: history, title, read position, and in the conversation without help", async () => {
    const { anna, bert, id, said } = await talk();
    const words = createPhrase();
    expect(await backUp(anna, await recoveryKeys(words))).toMatchObject({ kind: "kept" });
    const anna2 = company.person("Anna again");
    const lost = anna.id;
    await anna.close();

    const store = await openSqliteStore(anna2.folder);
    const restored = await comeBack({ ...door(), store, deviceName: "New laptop" }, words);
    expect(restored.missing).toBe(0);
    await store.close();
    await anna2.open();
    expect(anna2.id).toBe(lost);
    expect(anna2.engine.snapshot().conversations).toMatchObject([{ id, title: "Backstube", last: { text: "Brot 3" } }]);
    await anna2.shows(id, said);
    await anna2.settled();
    await bert.engine.send(id, "noch da?");
    await anna2.shows(id, [...said, "noch da?"]);
    await anna2.engine.send(id, "wieder da");
    await bert.shows(id, [...said, "noch da?", "wieder da"]);
    const expiring = (await anna2.lines(id)).filter(({ expiresAt }) => expiresAt !== null);
    expect(expiring).toMatchObject([{ body: { text: "Brot 2" } }]);
    expect([...anna2.faults, ...bert.faults]).toEqual([]);
  });
});

describe("safekeeping", () => {
  /** The safekeeping of a person's profile, with a clock that stands still. */
  async function safekeepingOf(person: Person) {
    const [account, clock, faults] = [await accountOf(person), new ManualClock(Date.now()), [] as unknown[]];
    const tokens = tokensOf(account);
    const api = createApi({ ...door(), tokens });
    const safekeeping = await Safekeeping.load({
      ...door(),
      store: person.store,
      account: () => account,
      tokens,
      api,
      clock,
      now: Date.now,
      changed: () => undefined,
      fault: (error) => faults.push(error),
    });
    return { safekeeping, clock, api, faults, account };
  }

  test("Y7: words are shown until three of them were entered again; then they are forgotten, and what they seal stays", async () => {
    const { anna } = await talk();
    const { safekeeping } = await safekeepingOf(anna);
    expect(safekeeping.state).toEqual({ phrase: "none", backup: "none" });
    const words = await safekeeping.words();
    const reopened = (await safekeepingOf(anna)).safekeeping;
    expect(await reopened.words()).toEqual(words);
    const entered = [3, 11, 24].map((place) => ({ place, word: ` ${words[place - 1]?.toUpperCase()} ` }));
    expect(await reopened.confirm(entered.slice(1))).toBe(false);
    expect(await reopened.confirm([...entered.slice(1), { place: 4, word: "no word" }])).toBe(false);
    expect(await reopened.confirm(entered)).toBe(true);
    expect((await safekeepingOf(anna)).safekeeping.state.phrase).toBe("confirmed");
    const kept = (await anna.store.scan("meta")).map(({ value }) => Buffer.from(value).toString("latin1")).join();
    expect(kept).not.toContain(words.slice(0, 2).join(" "));
    expect(words.every((word) => kept.includes(word))).toBe(false);
    expect((await recoveryKeys(words)).backupKey).toEqual(reopened.handover?.backupKey);
  });

  test("Y9: a change is in the backup a minute later, and a server out of reach costs only time", async () => {
    const { anna, bert, id, said } = await talk();
    const { safekeeping, clock, faults } = await safekeepingOf(anna);
    const words = await safekeeping.words();
    clock.advance(60_000);
    const running = safekeeping.run();
    expect(safekeeping.state.backup).toBe("waiting");
    await running;
    expect(safekeeping.state.backup).toBe("current");
    const overtaken = safekeeping.run();
    safekeeping.note();
    await overtaken;
    expect(safekeeping.state.backup).toBe("waiting");
    await safekeeping.run();
    expect(safekeeping.state.backup).toBe("current");
    await bert.engine.send(id, "Nachzügler");
    await anna.shows(id, [...said, "Nachzügler"]);
    safekeeping.note();
    expect(safekeeping.state.backup).toBe("waiting");
    expect(clock.untilNext).toBe(60_000);
    await server.stop();
    clock.advance(60_000);
    await safekeeping.run();
    expect([safekeeping.state.backup, faults.length]).toEqual(["waiting", 1]);
    await server.start();
    await safekeeping.run();
    expect(safekeeping.state.backup).toBe("current");
    const store = await openSqliteStore(company.person("Anna again").folder);
    await comeBack({ ...door(), store, deviceName: "New" }, words);
    expect(await store.scan("messages", { prefix: id })).toHaveLength(
      (await anna.store.scan("messages", { prefix: id })).length,
    );
    await store.close();
  });

  test("Y8: when the device that keeps the backup is revoked, the next one takes over; while it is not, it does not", async () => {
    const { anna } = await talk();
    const first = await safekeepingOf(anna);
    const words = await first.safekeeping.words();
    await first.safekeeping.run();
    const again = company.person("Anna again");
    const store = await openSqliteStore(again.folder);
    await comeBack({ ...door(), store, deviceName: "New" }, words);
    await store.close();
    await again.open();
    await again.settled();
    const second = await safekeepingOf(again);
    await second.safekeeping.run();
    expect(second.safekeeping.state).toEqual({ phrase: "confirmed", backup: "elsewhere" });
    await second.api.revokeDevice(first.account.device);
    await second.safekeeping.run();
    expect(second.safekeeping.state.backup).toBe("current");
    expect(second.faults).toEqual([]);
  });

  test("Y8: a phrase that another device has replaced is forgotten, and the new backup is not touched", async () => {
    const { anna } = await talk();
    const first = await safekeepingOf(anna);
    const old = await first.safekeeping.words();
    await first.safekeeping.run();
    const again = company.person("Anna again");
    const store = await openSqliteStore(again.folder);
    await comeBack({ ...door(), store, deviceName: "New" }, old);
    await store.close();
    await again.open();
    await again.settled();
    const second = await safekeepingOf(again);
    const words = await second.safekeeping.words();
    await second.safekeeping.run();
    expect(second.safekeeping.state.backup).toBe("current");
    await first.safekeeping.run();
    expect(first.safekeeping.state).toEqual({ phrase: "elsewhere", backup: "none" });
    const empty = await openSqliteStore(company.person("Anna once more").folder);
    await expect(comeBack({ ...door(), store: empty, deviceName: "x" }, old)).rejects.toMatchObject({
      code: "not_found",
    });
    expect((await comeBack({ ...door(), store: empty, deviceName: "x" }, words)).missing).toBe(0);
    await empty.close();
  });
});

describe("key log", () => {
  test("J8: everybody of a company reads the same log, and the revocation of a device is news to the others", async () => {
    const [anna, bert] = (await company.found("Anna", "Bert")) as [Person, Person];
    const logOf = async (person: Person) => {
      const account = await accountOf(person);
      const options = { ...door(), tokens: tokensOf(account), store: person.store, tenant: account.tenant.id };
      return KeyLog.load(options);
    };
    const [annas, berts] = [await logOf(anna), await logOf(bert)];
    await annas.update();
    expect(await berts.compare(annas.head)).toMatchObject({ kind: "current" });
    const { device, identityKeys } = await accountOf(bert);
    expect(annas.identityKey(bert.id)).toEqual(identityKeys.publicKey);
    expect(annas.device(device)).toMatchObject({ member: bert.id, revoked: false });
    await createApi({ ...door(), tokens: tokensOf(await accountOf(anna)) }).revokeDevice(device);
    const state = await annas.update();
    expect(state).toEqual({ kind: "current", news: [{ kind: "revoked", member: bert.id, device }] });
  });
});

describe("linking", () => {
  const enter = async (code: string) =>
    enterCode(door(), await takeCode(door(), { keys: await linkKeys(code), name: "Phone" }));

  test("P7: a second device is in by its code: same digits, whole history, all conversations, and nothing left in the vault", async () => {
    const { anna, bert, id, said } = await talk();
    const account = await accountOf(anna);
    const tokens = tokensOf(account);
    const showing = await showCode({ ...door(), tokens });
    const entering = await enter(readCode(showing.code) ?? "");
    const [answered, digits] = await Promise.all([showing.answered(), entering.agreed()]);
    expect(answered).toEqual({ name: "Phone", digits });

    const history = randomBytes(32);
    const vault = createVault({ ...door(), tokens, shelf: shelfOf(history) });
    await sealHistory({ store: anna.store, vault, now: Date.now }, account, history);
    await endHistory({ vault, now: Date.now }, history);
    await handOver(showing, account, { history, recovery: null, now: Date.now() });
    const phone = company.person("Anna's phone");
    const store = await openSqliteStore(phone.folder);
    await takeOver({ ...door(), store, deviceName: "Phone" }, await entering.confirmed());
    expect((await fetchHistory({ ...door(), store })).missing).toBe(0);
    expect(await vault.list()).toEqual([]);
    await store.close();

    await phone.open();
    expect(phone.id).toBe(anna.id);
    await phone.settled();
    await phone.shows(id, said);
    await phone.engine.send(id, "vom Telefon");
    for (const person of [anna, bert, phone]) await person.shows(id, [...said, "vom Telefon"]);
    await bert.engine.send(id, "an beide");
    for (const person of [anna, bert, phone]) await person.shows(id, [...said, "vom Telefon", "an beide"]);
    expect((await anna.engine.devices()).map(({ name }) => name).sort()).toEqual(["Phone", "Test"]);
    expect([...anna.faults, ...bert.faults, ...phone.faults]).toEqual([]);
  });

  test("P7: a history that was interrupted goes on where it was, before the engine is opened", async () => {
    const { anna, id, said } = await talk();
    const account = await accountOf(anna);
    const tokens = tokensOf(account);
    const showing = await showCode({ ...door(), tokens });
    const entering = await enter(showing.code);
    await Promise.all([showing.answered(), entering.agreed()]);
    const history = randomBytes(32);
    const vault = createVault({ ...door(), tokens, shelf: shelfOf(history) });
    await sealHistory({ store: anna.store, vault, now: Date.now }, account, history);
    await endHistory({ vault, now: Date.now }, history);
    await handOver(showing, account, { history, recovery: null, now: Date.now() });
    const phone = company.person("Anna's phone");
    const store = await openSqliteStore(phone.folder);
    let left = 2;
    const broken: typeof fetch = async (input, init) => {
      if (String(input).includes("/api/vault/") && left-- === 0) throw new TypeError("the network is gone");
      return fetch(input, init);
    };
    const options = { ...door(), fetch: broken, store };
    await takeOver({ ...options, deviceName: "Phone" }, await entering.confirmed());
    await expect(fetchHistory(options)).rejects.toMatchObject({ code: "unavailable" });
    expect(await isHistoryPending(store)).toBe(true);
    expect(await fetchHistory(options)).toMatchObject({ missing: 0 });
    expect(await isHistoryPending(store)).toBe(false);
    expect(await vault.list()).toEqual([]);
    await store.close();
    await phone.open();
    await phone.shows(id, said);
    expect(await anna.engine.devices()).toHaveLength(2);
  });

  test("P7: a code that nobody entered, was called off, or is wrong lets nobody in", async () => {
    const [anna] = (await company.found("Anna")) as [Person];
    const tokens = tokensOf(await accountOf(anna));
    const showing = await showCode({ ...door(), tokens });
    await showing.cancel();
    await expect(enter(showing.code)).rejects.toMatchObject({ code: "not_found" });
    await expect(showing.answered()).rejects.toMatchObject({ code: "not_found" });
    expect(await anna.engine.devices()).toHaveLength(1);
  });
});
