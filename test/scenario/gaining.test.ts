// Gaining devices as people do it, over the engine's own interface and the command line, against a real server.

import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { loadAccount } from "../../client/engine/account.ts";
import { createDoor } from "../../client/engine/api.ts";
import { sign } from "../../client/engine/group/device-keys.ts";
import { loadEntered } from "../../client/engine/linking/entered.ts";
import { loadHanding } from "../../client/engine/linking/handing.ts";
import { isHistoryPending } from "../../client/engine/linking/pending.ts";
import { createTokens } from "../../client/engine/token.ts";
import { createVault, type Vault } from "../../client/engine/vault.ts";
import type { LinkingView, SafekeepingView } from "../../client/engine/view.ts";
import type { HandoverShelf } from "../../schemas/api.ts";
import { randomBytes } from "../../schemas/bytes.ts";
import { type ConversationId, type HandoverId, type MemberId, newId, type VaultId } from "../../schemas/ids.ts";
import { LIMITS } from "../../schemas/policy.ts";
import type { Company, Person } from "../support/company.ts";
import { eachWithCompany } from "../support/hooks.ts";
import { LeapingClock } from "../support/leaping-clock.ts";
import { outcome, Profiles } from "../support/profiles.ts";
import type { RealServer } from "../support/real-server.ts";
import { contentsOf } from "../support/server-files.ts";

const PATIENCE = { timeout: 20_000, interval: 50 };
let server: RealServer;
let company: Company;

eachWithCompany((fresh, its) => {
  company = fresh;
  server = its;
});

/** The shelves that a history was put on before the eyes of this file. */
const shelves = new Set<HandoverShelf>();

/** Whether a request puts something onto the shelf of a handover. */
function isUpload(method: string, path: string): boolean {
  const [, shelf] = /^\/api\/vault\/(handover\.[\w-]{22})\//.exec(path) ?? [];
  if (method !== "PUT" || shelf === undefined) return false;
  shelves.add(shelf as HandoverShelf);
  return true;
}

async function talk(): Promise<{ anna: Person; bert: Person; id: ConversationId; said: string[] }> {
  const { anna, bert, id } = await company.pair();
  const said = ["Brot ist im Ofen", "Wie viele?"];
  await anna.engine.send(id, said[0] ?? "");
  await bert.shows(id, said.slice(0, 1));
  await bert.engine.send(id, said[1] ?? "");
  await anna.shows(id, said);
  return { anna, bert, id, said };
}

async function shown<Kind extends LinkingView["kind"]>(person: Person, kind: Kind) {
  await expect.poll(() => person.engine.snapshot().linking?.kind, PATIENCE).toBe(kind);
  return person.engine.snapshot().linking as Extract<LinkingView, { kind: Kind }>;
}

/** A second device of somebody, linked over the engine's interface alone. */
async function linkPhone(anna: Person): Promise<Person> {
  const phone = company.person("Anna's phone");
  await phone.open();
  await anna.engine.offerLink();
  const { address } = await shown(anna, "shown");
  const linked = phone.engine.link({ code: address, deviceName: "Phone" });
  const [{ name, digits }, entered] = [await shown(anna, "answered"), await shown(phone, "entered")];
  expect([name, digits]).toEqual(["Phone", entered.digits]);
  await anna.engine.confirmLink();
  await linked;
  return phone;
}

describe("linking", () => {
  test("G1: code, the same digits on both, yes: the second device has the history and writes in every conversation", async () => {
    const { anna, bert, id, said } = await talk();
    const other = await bert.engine.create({ title: "Nur Post", members: [anna.id] });
    await bert.engine.send(other, "Hallo");
    await anna.shows(other, ["Hallo"]);
    const phone = await linkPhone(anna);
    expect(phone.id).toBe(anna.id);
    expect((await shown(anna, "handed")).name).toBe("Phone");
    expect(phone.engine.snapshot()).toMatchObject({ phase: "ready", linking: null });
    await phone.settled();
    await phone.shows(id, said);
    await phone.engine.send(id, "vom Telefon");
    await phone.engine.send(other, "auch hier");
    for (const person of [anna, bert, phone]) {
      await person.shows(id, [...said, "vom Telefon"]);
      await person.shows(other, ["Hallo", "auch hier"]);
    }
    expect([...anna.faults, ...bert.faults, ...phone.faults]).toEqual([]);
  });

  test("P8, P9: the device that hands over shows how far it is, a cut on the way costs nothing, and its timers go on", async () => {
    const { anna, bert, id, said } = await talk();
    await bert.engine.send(id, "bis morgen", 86_400_000);
    await anna.shows(id, [...said, "bis morgen"]);
    let cuts = 0;
    await anna.reopen({
      beforeRequest: async (method, path) => {
        if (isUpload(method, path) && cuts++ === 1) throw new TypeError("cut off");
      },
    });
    await anna.settled();
    const seen: string[] = [];
    anna.engine.on(() => {
      const { linking } = anna.engine.snapshot();
      if (linking?.kind === "handing") seen.push(`${linking.done}/${linking.total}`);
    });
    const phone = await company.link(anna, "Phone");
    expect(cuts).toBeGreaterThan(2);
    const total = seen.at(-1)?.split("/")[1];
    expect(Number(total)).toBeGreaterThan(1);
    expect(seen).toContain(`0/${total}`);
    expect(seen.at(-1)).toBe(`${total}/${total}`);
    await phone.shows(id, [...said, "bis morgen"]);
    const timerOf = async (person: Person) => (await person.lines(id)).map(({ expiresAt }) => expiresAt !== null);
    expect(await timerOf(phone)).toEqual(await timerOf(anna));
    expect((await timerOf(phone)).at(-1)).toBe(true);
  });

  test("G2: a code that was called off ends linking on both devices, and lets nobody in", async () => {
    const [anna] = (await company.found("Anna")) as [Person];
    const phone = company.person("Anna's phone");
    await phone.open();
    await expect(phone.engine.link({ code: "no code", deviceName: "Phone" })).rejects.toMatchObject({
      code: "malformed",
    });
    expect(phone.engine.snapshot().linking).toBeNull();
    await anna.engine.offerLink();
    const { code } = await shown(anna, "shown");
    const linked = phone.engine.link({ code, deviceName: "Phone" }).catch((error: unknown) => error);
    await shown(phone, "entered");
    await shown(anna, "answered");
    await anna.engine.cancelLink();
    expect(await linked).toMatchObject({ code: "not_found" });
    expect(phone.engine.snapshot()).toMatchObject({ phase: "fresh", linking: { kind: "over", code: "not_found" } });
    expect(anna.engine.snapshot().linking).toBeNull();
    await expect(anna.engine.confirmLink()).rejects.toMatchObject({ code: "conflict" });
    expect(await anna.engine.devices()).toHaveLength(1);
  });

  /** Anna shows a code and an empty phone has entered it; both show the digits. */
  async function compared(anna: Person, name = "Anna's phone") {
    const phone = company.person(name);
    await phone.open();
    await anna.engine.offerLink();
    const { code } = await shown(anna, "shown");
    const linked = phone.engine.link({ code, deviceName: "Phone" }).catch((error: unknown) => error);
    const { digits } = await shown(anna, "answered");
    return { phone, code, digits, linked };
  }

  test("S38: closed before the yes, a new device goes on with the same digits, and nobody else enters its code", async () => {
    const { anna, id, said } = await talk();
    const { phone, code, digits } = await compared(anna);
    for (const _ of [1, 2]) {
      await phone.reopen();
      expect((await shown(phone, "entered")).digits).toBe(digits);
    }
    const thief = company.person("Somebody");
    await thief.open();
    const refused = await thief.engine.link({ code, deviceName: "x" }).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "conflict" });
    expect(await loadEntered(thief.store)).toBeUndefined();
    // The code itself lies nowhere
    const kept = await loadEntered(phone.store);
    expect(Object.keys(kept ?? {}).sort()).toEqual(["greeting", "link", "name", "until"]);
    await anna.engine.confirmLink();
    await expect.poll(() => phone.engine.snapshot().phase, PATIENCE).toBe("ready");
    expect(phone.id).toBe(anna.id);
    await phone.shows(id, said);
    expect(await loadEntered(phone.store)).toBeUndefined();
    expect(await anna.engine.devices()).toMatchObject([{ name: "Test" }, { name: "Phone" }]);
    expect(phone.faults).toEqual([]);
  });

  test("S38: a yes while the new device is closed lets it in when it is opened again", async () => {
    const { anna, id, said } = await talk();
    const { phone } = await compared(anna);
    await phone.close();
    await anna.engine.confirmLink();
    await phone.open();
    await expect.poll(() => phone.engine.snapshot().phase, PATIENCE).toBe("ready");
    await phone.shows(id, said);
  });

  test("S38: entered once more, the code goes on where it was", async () => {
    const { anna, id, said } = await talk();
    const { phone, code, digits } = await compared(anna);
    await phone.reopen();
    const linked = phone.engine.link({ code: code.toLowerCase(), deviceName: "Another name" });
    expect((await shown(phone, "entered")).digits).toBe(digits);
    await anna.engine.confirmLink();
    await linked;
    await phone.shows(id, said);
    expect(phone.engine.snapshot()).toMatchObject({ phase: "ready", linking: null });
  });

  test.each([1, 2, 3, 4, 5, 6])(
    "S38: the new device dies at write %i, and gets in with the same code all the same",
    async (write) => {
      const { anna, id, said } = await talk();
      const { phone, code, linked } = await diesAt(write);
      await expect.poll(() => phone.isDead, PATIENCE).toBe(true);
      await phone.reopen();
      // Nothing was kept of a code that had not been answered yet
      if (write === 1) void phone.engine.link({ code, deviceName: "Phone" });
      await expect.poll(() => phone.engine.snapshot().phase, PATIENCE).toBe("ready");
      await phone.shows(id, said);
      expect(await loadEntered(phone.store)).toBeUndefined();
      expect(await anna.engine.devices()).toHaveLength(2);
      void linked;

      async function diesAt(diesAtWrite: number) {
        const dying = company.person("Anna's phone");
        await dying.open({ diesAtWrite });
        await anna.engine.offerLink();
        const { code: its } = await shown(anna, "shown");
        const end = dying.engine.link({ code: its, deviceName: "Phone" }).catch((error: unknown) => error);
        void shown(anna, "answered").then(() => anna.engine.confirmLink());
        return { phone: dying, code: its, linked: end };
      }
    },
  );

  test.each([
    ["a no", "not_found", (anna: Person) => anna.engine.cancelLink()],
    ["ten minutes", "not_found", async () => undefined],
  ])("S38: after %s nothing of the code stays on a new device that was closed", async (how, refusal, end) => {
    const [anna] = (await company.found("Anna")) as [Person];
    const { phone } = await compared(anna);
    await phone.close();
    await end(anna);
    const clock = new LeapingClock();
    if (how === "ten minutes") clock.leap(LIMITS.linkLife);
    await phone.open({ clock });
    expect((await shown(phone, "over")).code).toBe(refusal);
    expect(await loadEntered(phone.store)).toBeUndefined();
    await phone.reopen();
    expect(phone.engine.snapshot()).toMatchObject({ phase: "fresh", linking: null });
  });

  test("S38: whoever begins anew, or calls it off, leaves nothing of the code and ends it on the other device", async () => {
    const [anna] = (await company.found("Anna")) as [Person];
    const { phone } = await compared(anna);
    await phone.reopen();
    await phone.engine.signUp({ organisation: "Mühle", name: "Anna", deviceName: "Phone" });
    expect(await loadEntered(phone.store)).toBeUndefined();
    await expect(anna.engine.confirmLink()).rejects.toMatchObject({ code: "not_found" });
    await phone.close();

    const tablet = company.person("Anna's tablet");
    await tablet.open();
    await anna.engine.offerLink();
    const { code } = await shown(anna, "shown");
    const linked = tablet.engine.link({ code, deviceName: "Tablet" }).catch((error: unknown) => error);
    await shown(tablet, "entered");
    await tablet.engine.cancelLink();
    expect(await linked).toMatchObject({ code: "not_found" });
    expect(await loadEntered(tablet.store)).toBeUndefined();
    expect(tablet.engine.snapshot()).toMatchObject({ phase: "fresh", linking: null });
    await expect(anna.engine.confirmLink()).rejects.toBeDefined();
    expect(await anna.engine.devices()).toHaveLength(1);
  });

  /** Anna's second upload hangs until `go`; what was asked for in her name. */
  async function slowUpload(anna: Person) {
    let go: () => void = () => undefined;
    const going = new Promise<void>((resolve) => (go = resolve));
    let puts = 0;
    await anna.reopen({
      beforeRequest: async (method, path) => {
        if (isUpload(method, path) && puts++ === 1) await going;
      },
    });
    await anna.settled();
    return { go, begun: () => puts > 1 };
  }

  /** Code, digits, yes. The phone is in, and nothing of its history has arrived. */
  async function confirmed(anna: Person, begun: () => boolean, name = "Anna's phone") {
    const phone = company.person(name);
    await phone.open();
    const before = (await anna.engine.devices()).length;
    await anna.engine.offerLink();
    const { code } = await shown(anna, "shown");
    const linked = phone.engine.link({ code, deviceName: "Phone" }).catch(() => undefined);
    await shown(anna, "answered");
    const handed = anna.engine.confirmLink().catch((error: unknown) => error);
    await expect.poll(begun, PATIENCE).toBe(true);
    await shown(phone, "arriving");
    await expect.poll(async () => (await anna.engine.devices()).length, PATIENCE).toBe(before + 1);
    return { phone, linked, handed };
  }

  /** A shelf of this member's vault. */
  async function vaultOf({ store, server: at }: Person, shelf: HandoverShelf): Promise<Vault> {
    const account = await loadAccount(store);
    if (account === undefined) throw new Error("no account");
    const tokens = createTokens({
      door: createDoor({ server: at }),
      tenant: account.tenant.id,
      device: account.device,
      sign: (payload) => sign(account.signatureKeys.privateKey, payload),
    });
    return createVault({ server: at, tokens, shelf });
  }

  /** What lies of this member on the shelves that histories were put on. */
  async function onTheWay(person: Person): Promise<number> {
    expect(shelves.size).toBeGreaterThan(0);
    const lying = [...shelves].map(async (shelf) => (await vaultOf(person, shelf)).list());
    return (await Promise.all(lying)).flat().length;
  }

  /** What a profile remembers of handovers that are not over. */
  async function traces({ store }: Person): Promise<readonly string[]> {
    const rows = await store.scan("meta", { prefix: "hand" });
    return rows.map(({ key }) => key);
  }

  test("G40, P8: closed in the middle on both sides, the upload and the arrival go on by themselves when they are opened again", async () => {
    const { anna, id, said } = await talk();
    const { begun } = await slowUpload(anna);
    const { phone } = await confirmed(anna, begun);
    await anna.close();
    await phone.reopen();
    await shown(phone, "arriving");
    expect(await isHistoryPending(phone.store)).toBe(true);
    await anna.open();
    expect((await shown(anna, "handed")).name).toBe("Phone");
    await expect.poll(() => phone.engine.snapshot().phase, PATIENCE).toBe("ready");
    await phone.shows(id, said);
    await expect.poll(() => onTheWay(phone), PATIENCE).toBe(0);
    await anna.reopen();
    await anna.settled();
    expect(anna.engine.snapshot().linking).toBeNull();
    // A further one is let in as ever
    const third = await company.link(anna, "Anna's tablet");
    await third.shows(id, said);
  });

  test.each([0, 1, 2, 3, 4, 6, 8])("G40: the first device dies at write %i after the yes", async (writes) => {
    const { anna, id, said } = await talk();
    await anna.settled();
    let dying = Number.POSITIVE_INFINITY;
    await anna.reopen({
      beforeWrite: async () => {
        if (dying-- <= 0) throw new Error("the process is dead");
      },
      beforeRequest: async (method, path) => {
        isUpload(method, path);
        if (dying < 0) await new Promise(() => undefined);
      },
    });
    await anna.settled();
    const phone = company.person("Anna's phone");
    await phone.open();
    await anna.engine.offerLink();
    const { code } = await shown(anna, "shown");
    const linked = phone.engine.link({ code, deviceName: "Phone" }).catch((error: unknown) => error);
    await shown(anna, "answered");
    dying = writes;
    const handed = anna.engine.confirmLink().catch((error: unknown) => error);
    await expect.poll(() => dying < 0 || anna.engine.snapshot().linking?.kind === "handed", PATIENCE).toBe(true);
    await anna.close();
    await anna.open();
    if (writes === 0) {
      // Nothing had left it: the code is still good for a no
      expect((await anna.engine.devices()).length).toBe(1);
      await phone.engine.cancelLink();
      return;
    }
    await linked;
    await phone.shows(id, said);
    await expect.poll(() => onTheWay(phone), PATIENCE).toBe(0);
    void handed;
  });

  test("G40, P9, S41: called off in the middle, on either side, the new device goes on without its history", async () => {
    const { anna, bert, id } = await talk();
    const { go, begun } = await slowUpload(anna);
    const { phone, linked, handed } = await confirmed(anna, begun);
    await anna.engine.cancelLink();
    go();
    expect(await handed).toMatchObject({ code: "not_found" });
    await linked;
    await phone.settled();
    await phone.shows(id, []);
    await bert.engine.send(id, "willkommen");
    await phone.shows(id, ["willkommen"]);
    await expect.poll(() => onTheWay(phone), PATIENCE).toBe(0);
    await expect.poll(() => traces(anna), PATIENCE).toEqual([]);
    await phone.close();

    const second = await slowUpload(anna);
    const { phone: other } = await confirmed(anna, second.begun, "Anna's tablet");
    await other.engine.cancelLink();
    await expect.poll(() => other.engine.snapshot().phase, PATIENCE).toBe("ready");
    await other.settled();
    second.go();
    await shown(anna, "handed");
    await expect.poll(() => onTheWay(anna), PATIENCE).toBe(0);
    await expect.poll(() => traces(anna), PATIENCE).toEqual([]);
    await bert.engine.send(id, "noch einmal");
    await expect.poll(() => other.texts(id), PATIENCE).toContain("noch einmal");
  });

  test("S41: a handover that was called off just before the tab was closed is destroyed when it is opened again", async () => {
    const { anna, id } = await talk();
    const { begun } = await slowUpload(anna);
    const { phone, linked } = await confirmed(anna, begun);
    await anna.engine.cancelLink();
    await anna.reopen();
    await linked;
    await phone.settled();
    await phone.shows(id, []);
    await expect.poll(() => traces(anna), PATIENCE).toEqual([]);
    await expect.poll(() => onTheWay(anna), PATIENCE).toBe(0);
    expect(anna.engine.snapshot().linking).toBeNull();
  });

  test("S41: an end whose answer was lost is said again, and takes nothing away", async () => {
    const { anna, id, said } = await talk();
    let lost = 0;
    await anna.reopen({
      fetch: async (input, init) => {
        const answer = await fetch(input, init);
        // The last thing that is put there says that it is whole
        if (isUpload(init?.method ?? "GET", new URL(String(input)).pathname)) {
          const handing = await loadHanding(anna.store);
          if (handing?.state === "sealed" && lost++ === 0) throw new TypeError("cut off");
        }
        return answer;
      },
    });
    await anna.settled();
    const phone = await company.link(anna, "Anna's phone");
    expect(lost).toBeGreaterThan(0);
    await phone.shows(id, said);
    await shown(anna, "handed");
    await expect.poll(() => traces(anna), PATIENCE).toEqual([]);
  });

  test("S40: two devices of one member hand over at the same time, and each new one gets its whole history", async () => {
    const { anna, id, said } = await talk();
    const phone = await company.link(anna, "Anna's phone");
    await phone.shows(id, said);
    const { go, begun } = await slowUpload(anna);
    const { phone: tablet, linked } = await confirmed(anna, begun, "Anna's tablet");
    const before = shelves.size;
    await phone.reopen({ beforeRequest: async (method, path) => void isUpload(method, path) });
    await phone.settled();
    const laptop = await company.link(phone, "Anna's laptop");
    await laptop.shows(id, said);
    await shown(phone, "handed");
    expect(shelves.size).toBe(before + 1);
    go();
    await linked;
    await tablet.shows(id, said);
    await shown(anna, "handed");
    await expect.poll(() => onTheWay(anna), PATIENCE).toBe(0);
    expect(await anna.engine.devices()).toHaveLength(4);
  });

  test("S40: a device that comes in by a sibling's yes is not taken for one's own", async () => {
    const { anna, id, said } = await talk();
    const phone = await company.link(anna, "Anna's phone");
    let cut = true;
    await anna.reopen({
      beforeRequest: async (method, path) => {
        isUpload(method, path);
        if (cut && path.endsWith("/handover")) throw new TypeError("cut off");
      },
    });
    const { phone: tablet } = await compared(anna, "Anna's tablet");
    const handed = anna.engine.confirmLink().catch((error: unknown) => error);
    await shown(anna, "handing");
    await tablet.engine.cancelLink();
    const laptop = await company.link(phone, "Anna's laptop");
    await laptop.shows(id, said);
    cut = false;
    expect(await handed).toMatchObject({ code: "not_found" });
    expect(anna.engine.snapshot().linking).toEqual({ kind: "over", code: "not_found" });
    await expect.poll(() => traces(anna), PATIENCE).toEqual([]);
  });

  test("V5, V7: what lies on a handover's shelf is destroyed by the server alone, also when it was killed meanwhile", async () => {
    const [anna] = (await company.found("Anna")) as [Person];
    const marker = randomBytes(64);
    const vault = await vaultOf(anna, `handover.${newId<VaultId>() as string as HandoverId}`);
    const isThere = () =>
      [...contentsOf(server.state).values()].some((content) => content.includes(Buffer.from(marker)));
    await vault.put(newId<VaultId>(), marker, { expiresAt: Date.now() + 10_000 });
    await anna.close();
    await server.kill();
    expect(isThere()).toBe(true);
    await server.start();
    await expect.poll(isThere, { timeout: 60_000, interval: 200 }).toBe(false);
  });

  test("S40: a device hands over to one after the other: a second code waits for the upload, and takes nothing from the first", async () => {
    const { anna, id, said } = await talk();
    const { go, begun } = await slowUpload(anna);
    const { phone, handed } = await confirmed(anna, begun);
    await expect(anna.engine.offerLink()).rejects.toMatchObject({ code: "conflict", detail: { reason: "handing" } });
    await phone.close();
    go();
    await handed;
    // The first has fetched nothing yet
    const tablet = await company.link(anna, "Anna's tablet");
    await tablet.shows(id, said);
    await phone.open();
    await expect.poll(() => phone.engine.snapshot().phase, PATIENCE).toBe("ready");
    await phone.shows(id, said);
    await expect.poll(() => onTheWay(anna), PATIENCE).toBe(0);
  });

  test("G3: a history cut off by a crash arrives when the profile is next opened, before anything is shown", async () => {
    const { anna, id, said } = await talk();
    const phone = company.person("Anna's phone");
    // Past the writes that say the device is in, and before the history's
    await phone.open({ diesAtWrite: 7 });
    await anna.engine.offerLink();
    const { code } = await shown(anna, "shown");
    const linked = phone.engine.link({ code, deviceName: "Phone" }).catch(() => undefined);
    await shown(phone, "entered");
    await shown(anna, "answered");
    await anna.engine.confirmLink();
    await linked;
    expect(phone.isDead).toBe(true);
    expect(await isHistoryPending(phone.store)).toBe(true);
    await phone.reopen();
    await expect.poll(() => phone.engine.snapshot().phase, PATIENCE).toBe("ready");
    await phone.shows(id, said);
    expect(await anna.engine.devices()).toHaveLength(2);
  });
});

/** Brings the backup of somebody up to date; what changes meanwhile needs another run. */
async function backsUp(person: Person, state: SafekeepingView["backup"]): Promise<void> {
  const run = async () => {
    await person.engine.backUp();
    return person.engine.snapshot().safekeeping?.backup;
  };
  await expect.poll(run, PATIENCE).toBe(state);
}

describe("recovery", () => {
  /** The words of a person whose backup is up to date. */
  async function wordsOf(person: Person): Promise<readonly string[]> {
    const words = await person.engine.recoveryWords();
    expect(person.engine.snapshot().safekeeping?.phrase).toBe("unconfirmed");
    await backsUp(person, "current");
    return words;
  }

  test("G4: with 24 words an empty profile is the member again: history, conversations, and what comes next", async () => {
    const { anna, bert, id, said } = await talk();
    const words = await wordsOf(anna);
    const lost = anna.id;
    await anna.close();
    const again = company.person("Anna again");
    await again.open();
    const wrong = words.with(3, words[3] === "zoo" ? "zone" : "zoo").join(" ");
    await expect(again.engine.recover({ phrase: wrong, deviceName: "Laptop" })).rejects.toMatchObject({
      code: "malformed",
    });
    await again.engine.recover({ phrase: words.join(" "), deviceName: "Laptop" });
    expect(again.id).toBe(lost);
    await again.shows(id, said);
    await again.settled();
    await bert.engine.send(id, "noch da?");
    await again.shows(id, [...said, "noch da?"]);
    await again.engine.send(id, "wieder da");
    await bert.shows(id, [...said, "noch da?", "wieder da"]);
    expect([...again.faults, ...bert.faults]).toEqual([]);
  });

  test("G5: three words entered right end the reminder; what is said later goes into the backup by itself", async () => {
    const { anna, bert, id, said } = await talk();
    const words = await wordsOf(anna);
    expect(await anna.engine.recoveryWords()).toEqual(words);
    const enter = (places: number[], wrong = "") =>
      places.map((at) => ({ place: at, word: wrong || words[at - 1] || "" }));
    expect(await anna.engine.confirmWords(enter([1, 9, 24], "zoo"))).toBe(false);
    expect(await anna.engine.confirmWords(enter([1, 9, 24]))).toBe(true);
    expect(anna.engine.snapshot().safekeeping?.phrase).toBe("confirmed");
    await backsUp(anna, "current");
    await bert.engine.send(id, "Nachzügler");
    await anna.shows(id, [...said, "Nachzügler"]);
    await expect.poll(() => anna.engine.snapshot().safekeeping?.backup, PATIENCE).toBe("waiting");
    await anna.reopen();
    expect(anna.engine.snapshot().safekeeping).toEqual({ phrase: "confirmed", backup: "waiting" });
  });

  test("G6: a device lost and shut out gives the backup to the next one", async () => {
    const { anna } = await talk();
    const words = await wordsOf(anna);
    const again = company.person("Anna again");
    await again.open();
    await again.engine.recover({ phrase: words.join(" "), deviceName: "Laptop" });
    await again.settled();
    await again.engine.backUp();
    expect(again.engine.snapshot().safekeeping).toEqual({ phrase: "confirmed", backup: "elsewhere" });
    const lost = (await again.engine.devices()).find(({ own }) => !own);
    if (lost === undefined) throw new Error("the lost device is not listed");
    await again.engine.revokeDevice(lost.id);
    await backsUp(again, "current");
  });

  test("G11: a device that does not know its member's words says that another one does, rather than ask for new ones", async () => {
    const [anna] = (await company.found("Anna")) as [Person];
    const phone = await linkPhone(anna);
    await phone.settled();
    expect(phone.engine.snapshot().safekeeping).toEqual({ phrase: "none", backup: "none" });
    await wordsOf(anna);
    await phone.reopen();
    await phone.settled();
    expect(phone.engine.snapshot().safekeeping).toEqual({ phrase: "elsewhere", backup: "none" });
  });
});

test("G7: a device takes another name, of its member's giving alone", async () => {
  const [anna, bert] = (await company.found("Anna", "Bert")) as [Person, Person];
  const [device] = await bert.engine.devices();
  if (device === undefined) throw new Error("no device");
  await bert.engine.renameDevice(device.id, " Ladentheke ");
  expect(await bert.engine.devices()).toMatchObject([{ id: device.id, name: "Ladentheke" }]);
  await expect(anna.engine.renameDevice(device.id, "Meins")).rejects.toMatchObject({ code: "not_found" });
  await expect(bert.engine.renameDevice(device.id, " ")).rejects.toMatchObject({ code: "malformed" });
});

test("G12: both see the same safety number; compared stays compared, also after a restart, until taken back", async () => {
  const [anna, bert] = (await company.found("Anna", "Bert")) as [Person, Person];
  const [annas, berts] = [await anna.engine.safety(bert.id), await bert.engine.safety(anna.id)];
  expect(annas.number).toMatch(/^\d{60}$/);
  expect(annas).toMatchObject({ number: berts.number, verifiedAt: null, contradicted: false });
  await anna.engine.verify(bert.id, true);
  await anna.reopen();
  await anna.settled();
  expect(await anna.engine.safety(bert.id)).toMatchObject({ since: annas.since, verifiedAt: expect.any(Number) });
  expect((await bert.engine.safety(anna.id)).verifiedAt).toBeNull();
  await anna.engine.verify(bert.id, false);
  expect(await anna.engine.safety(bert.id)).toEqual(annas);
  await expect(anna.engine.safety(newId<MemberId>())).rejects.toMatchObject({ code: "not_found" });
});

describe("command line", () => {
  let profiles: Profiles;
  beforeEach(() => {
    profiles = new Profiles();
  });
  afterEach(() => profiles.dispose());
  const at = (args: string[]) => [...args, "--server", server.url];
  /** What a command prints, one object at a time. */
  const linesOf = ({ stdout }: ChildProcess) => {
    const lines = createInterface({ input: stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
    return async (): Promise<Record<string, string>> => JSON.parse((await lines.next()).value ?? "{}");
  };

  test("L40: kuvert link on both sides, with the digits compared, and rename-device", async () => {
    await profiles.objects("anna", at(["signup", "--organisation", "Mühle", "--name", "Anna"]));
    const showing = profiles.spawn("anna", ["link", "--json"]);
    const closed = once(showing, "close");
    const next = linesOf(showing);
    const { address = "", code = "" } = await next();
    expect(address).toBe(`${server.url}/link#${code}`);
    const entering = outcome(profiles.spawn("phone", ["link", address, "--device", "Telefon", "--json"]));
    const answered = await next();
    showing.stdin?.end("y\n");
    expect(await next()).toMatchObject({ type: "linked", name: "Telefon" });
    expect(await closed).toEqual([0, null]);
    const entered = await entering;
    expect(entered).toMatchObject({ code: 0, err: "" });
    expect(entered.objects).toMatchObject([
      { type: "link_entered", digits: answered.digits },
      { type: "account", member: { name: "Anna" } },
    ]);
    await profiles.objects("phone", ["rename-device", "Telefon", "Theke"]);
    const names = (await profiles.objects("anna", ["devices"])).map(({ name }) => name);
    expect(names).toHaveLength(2);
    expect(names).toContain("Theke");
  });

  test("S38, L40: kuvert link CODE that was killed before the yes goes on when it is called again", async () => {
    await profiles.objects("anna", at(["signup", "--organisation", "Mühle", "--name", "Anna"]));
    const showing = profiles.spawn("anna", ["link", "--json"]);
    const closed = once(showing, "close");
    const shows = linesOf(showing);
    const { code = "" } = await shows();
    const killed = profiles.spawn("phone", at(["link", code, "--json"]));
    const { digits } = await linesOf(killed)();
    const gone = once(killed, "close");
    killed.kill("SIGKILL");
    await gone;
    const again = profiles.spawn("phone", ["link", code, "--json"]);
    const ended = outcome(again);
    expect((await shows()).digits).toBe(digits);
    showing.stdin?.end("y\n");
    expect(await ended).toMatchObject({
      code: 0,
      err: "",
      objects: [
        { type: "link_entered", digits },
        { type: "account", member: { name: "Anna" } },
      ],
    });
    expect(await closed).toEqual([0, null]);
  });

  test("L41: kuvert recovery shows the words until three are entered again; kuvert recover comes back with them", async () => {
    await profiles.objects("anna", at(["signup", "--organisation", "Mühle", "--name", "Anna"]));
    const [{ words }] = (await profiles.objects("anna", ["recovery"])) as [{ words: string[] }];
    expect(words).toHaveLength(24);
    expect((await profiles.kuvert("anna", ["recovery"])).out).toContain(` 1 ${words[0]}`);
    const confirming = profiles.spawn("anna", ["recovery", "confirm"]);
    confirming.stderr?.on("data", (data: Buffer) => {
      for (const [, place] of data.toString().matchAll(/Word (\d+): /g)) {
        confirming.stdin?.write(`${words[Number(place) - 1] ?? ""}\n`);
      }
    });
    expect((await outcome(confirming)).code).toBe(0);
    expect(await profiles.kuvert("anna", ["recovery"])).toMatchObject({ code: 1, out: "" });
    expect(await profiles.kuvert("lost", at(["recover"]), "zoo zoo zoo")).toMatchObject({ code: 1 });
    const back = await profiles.objects("again", at(["recover"]), words.join("\n"));
    expect(back).toMatchObject([{ type: "account", member: { name: "Anna" } }]);
    expect(await profiles.objects("again", ["backup"])).toEqual([{ type: "backup", state: "elsewhere" }]);
  });
});
