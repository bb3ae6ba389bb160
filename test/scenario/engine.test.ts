import { describe, expect, test } from "vitest";
import type { Table } from "../../client/engine/store.ts";
import type { ConversationId, MemberId } from "../../schemas/ids.ts";
import type { Company, Person } from "../support/company.ts";
import { eachWithCompany } from "../support/hooks.ts";

let company: Company;

eachWithCompany((fresh) => {
  company = fresh;
});

describe("a message walks from intent to line", () => {
  test("C4, D26: two people talk both ways, in order, each line once, and learn that it was delivered", async () => {
    const { anna, bert, id } = await company.pair();
    const texts = Array.from({ length: 60 }, (_, index) => `Brot ${index}`);
    await Promise.all(texts.map((text) => anna.engine.send(id, text)));
    await bert.shows(id, texts);
    await bert.engine.send(id, "danke");
    await anna.shows(id, [...texts, "danke"]);
    await expect
      .poll(async () => (await anna.lines(id)).filter(({ mine, state }) => mine && state === "delivered").length)
      .toBeGreaterThanOrEqual(60);
    const keys = (await bert.lines(id)).map(({ key }) => key);
    expect(new Set(keys).size).toBe(keys.length);
    expect([...anna.faults, ...bert.faults]).toEqual([]);
  });

  test("C3: a line keeps its key from the moment of sending, here and there", async () => {
    const { anna, bert, id } = await company.pair();
    const key = await anna.engine.send(id, "Hallo");
    expect((await anna.lines(id)).at(-1)).toMatchObject({ key, body: { text: "Hallo" } });
    await anna.settled();
    await bert.shows(id, ["Hallo"]);
    expect((await anna.lines(id)).at(-1)).toMatchObject({ key, state: expect.stringMatching(/^(sent|delivered)$/) });
    expect((await bert.lines(id)).at(-1)).toMatchObject({ key, state: "received", from: anna.id });
  });

  test("C14: two people without a title find the same conversation again, from both sides", async () => {
    const [anna, bert] = (await company.found("Anna", "Bert")) as [Person, Person];
    const id = await anna.engine.create({ title: null, members: [bert.id] });
    await anna.settled();
    await bert.settled();
    expect(await anna.engine.create({ title: null, members: [bert.id] })).toBe(id);
    expect(await bert.engine.create({ title: null, members: [anna.id] })).toBe(id);
    expect(await bert.engine.create({ title: "Anderes", members: [anna.id] })).not.toBe(id);
  });

  test("C15: what others write counts as unread until it is read", async () => {
    const { anna, bert, id } = await company.pair();
    await anna.engine.send(id, "eins");
    await anna.engine.send(id, "zwei");
    await bert.shows(id, ["eins", "zwei"]);
    expect(bert.engine.snapshot().conversations[0]).toMatchObject({ unread: 2, last: { text: "zwei" } });
    await bert.engine.read(id);
    expect(bert.engine.snapshot().conversations[0]).toMatchObject({ unread: 0 });
    await bert.reopen();
    expect(bert.engine.snapshot().conversations[0]).toMatchObject({ unread: 0, last: { text: "zwei" } });
  });

  test("C16: what is composed offline, also founding a conversation, goes out later in its order", async () => {
    const { anna, bert, id } = await company.pair();
    await anna.reopen({ offline: true });
    for (const text of ["eins", "zwei", "drei"]) await anna.engine.send(id, text);
    const other = await anna.engine.create({ title: "Neu", members: [bert.id] });
    await anna.engine.send(other, "erstes");
    expect((await anna.lines(id)).slice(-3).map(({ state }) => state)).toEqual(["waiting", "waiting", "waiting"]);
    await anna.reopen();
    await anna.settled();
    await bert.shows(id, ["eins", "zwei", "drei"]);
    await bert.shows(other, ["erstes"]);
    expect(bert.engine.snapshot().conversations.find((one) => one.id === other)).toMatchObject({ title: "Neu" });
  });

  test("E20: title and timer reach everybody, also a newcomer", async () => {
    const [anna, bert, carl] = (await company.found("Anna", "Bert", "Carl")) as [Person, Person, Person];
    const id = await anna.engine.create({ title: "Backstube", members: [bert.id] });
    await anna.engine.rename(id, "Konditorei");
    await anna.engine.expire(id, 60_000);
    await anna.settled();
    await bert.settled();
    expect(bert.engine.snapshot().conversations[0]).toMatchObject({ title: "Konditorei", expiresIn: 60_000 });
    await bert.engine.add(id, [carl.id]);
    await bert.settled();
    await carl.settled();
    expect(carl.engine.snapshot().conversations[0]).toMatchObject({ title: "Konditorei", expiresIn: 60_000 });
    expect((await bert.lines(id)).map(({ body }) => body.kind)).toEqual(["added", "titled", "timer", "added"]);
  });
});

describe("sockets are for what is looked at", () => {
  test("C11: six conversations and the mailbox have one; a nudge opens another", async () => {
    const [anna, bert] = (await company.found("Anna", "Bert")) as [Person, Person];
    const ids: ConversationId[] = [];
    for (let index = 0; index < 8; index++) {
      ids.push(await anna.engine.create({ title: `Nr. ${index}`, members: [bert.id] }));
    }
    await anna.settled();
    await expect.poll(() => bert.engine.snapshot().conversations.length).toBe(8);
    await bert.settled();
    await expect.poll(() => bert.paths().length).toBe(7);
    const open = bert.paths();
    expect(open).toContain("/api/mailbox/socket");
    const quiet = ids.find((id) => !open.includes(`/api/conversations/${id}/socket`));
    if (quiet === undefined) throw new Error("all of them are open");
    await anna.engine.send(quiet, "Hallo");
    await bert.shows(quiet, ["Hallo"]);
    await expect.poll(() => bert.paths().length).toBe(7);
    await bert.close();
    expect(bert.paths()).toEqual([]);
  });
});

describe("a backlog", () => {
  test("C60: what comes in while something is being written is taken in together", async () => {
    const { anna, bert, id } = await company.pair();
    const gate = Promise.withResolvers<void>();
    let isHeld = false;
    await bert.reopen({
      beforeWrite: async (writes) => {
        if (!writes.some(({ table }) => table === "messages")) return;
        isHeld = true;
        await gate.promise;
      },
    });
    await bert.settled();
    const texts = Array.from({ length: 12 }, (_, at) => `Zeile ${at}`);
    for (const text of texts) {
      await anna.engine.send(id, text);
      await anna.settled();
    }
    await expect.poll(() => isHeld).toBe(true);
    const before = bert.writes.length;
    gate.resolve();
    await bert.shows(id, texts);
    const taken = bert.writes.slice(before).filter((writes) => writes.some(({ table }) => table === "messages"));
    expect(taken.length).toBeLessThanOrEqual(3);
  });
});

/** Carl has joined the company and gone before the server got any key package of his. */
async function withoutKeys(anna: Person): Promise<{ carl: Person; carlsId: MemberId }> {
  const link = await anna.engine.invite({ role: "member", uses: 1, expiresIn: 3_600_000 });
  const carl = company.person("Carl");
  await carl.open({ withoutStock: true });
  await carl.engine.join({ link, name: "Carl", deviceName: "Test" });
  const carlsId = carl.id;
  await carl.close();
  await expect.poll(() => anna.engine.snapshot().members.some((member) => member.id === carlsId)).toBe(true);
  return { carl, carlsId };
}

describe("people come and go", () => {
  test("E11, C8: somebody removed is out at once, keeps what was said, and reads nothing that comes after", async () => {
    const [anna, bert, carl] = (await company.found("Anna", "Bert", "Carl")) as [Person, Person, Person];
    const id = await anna.engine.create({ title: "Team", members: [bert.id, carl.id] });
    await anna.engine.send(id, "alle da");
    await carl.shows(id, ["alle da"]);
    await bert.shows(id, ["alle da"]);
    await anna.engine.remove(id, bert.id);
    await anna.engine.send(id, "ohne Bert");
    await carl.shows(id, ["alle da", "ohne Bert"]);
    await expect.poll(() => bert.engine.snapshot().conversations[0]?.state).toBe("ended");
    expect(await bert.texts(id)).toEqual(["alle da"]);
    await expect(bert.engine.send(id, "noch da?")).rejects.toMatchObject({ code: "forbidden" });
    await anna.settled();
    expect(anna.engine.snapshot().conversations[0]?.members).toHaveLength(2);
  });

  test("E21: somebody who left can be added again and reads on from there", async () => {
    const { anna, bert, id } = await company.pair();
    await bert.engine.leave(id);
    expect(bert.engine.snapshot().conversations[0]).toMatchObject({ state: "ended" });
    await expect.poll(() => anna.engine.snapshot().conversations[0]?.members.length).toBe(1);
    await anna.engine.send(id, "allein");
    await anna.settled();
    await anna.engine.add(id, [bert.id]);
    await anna.engine.send(id, "willkommen zurück");
    await bert.shows(id, ["willkommen zurück"]);
    expect(bert.engine.snapshot().conversations[0]).toMatchObject({ state: "active", title: "Backstube" });
  });

  test("C9: who was added before it had any keys in store gets in when it next comes, however shortly", async () => {
    const { anna, id } = await company.pair();
    const { carl, carlsId } = await withoutKeys(anna);
    await anna.engine.add(id, [carlsId]);
    await anna.settled();
    expect(anna.engine.snapshot().conversations[0]?.members).not.toContain(carlsId);
    // Also when the answer with which it lets itself in comes twice
    await carl.open({ tampering: { incoming: (frame) => (frame.type === "group_info" ? [frame, frame] : [frame]) } });
    await carl.settled();
    expect(carl.engine.snapshot().conversations[0]).toMatchObject({ id, state: "active", members: { length: 3 } });
    await expect.poll(() => anna.engine.snapshot().conversations[0]?.members).toContain(carlsId);
    await anna.engine.send(id, "willkommen");
    await carl.shows(id, ["willkommen"]);
  });

  test("C9: a conversation begins with whom it was founded, whether they have keys in store or not", async () => {
    const { anna, bert } = await company.pair();
    const { carl, carlsId } = await withoutKeys(anna);
    const alone = await anna.engine.create({ title: null, members: [carlsId] });
    const three = await anna.engine.create({ title: "Zu dritt", members: [bert.id, carlsId] });
    await anna.engine.send(alone, "Wo bleibst du?");
    await anna.settled();
    await carl.open();
    await carl.settled();
    for (const id of [alone, three]) {
      expect(carl.engine.snapshot().conversations.find((one) => one.id === id)).toMatchObject({ state: "active" });
      await anna.engine.send(id, "willkommen");
      await carl.shows(id, ["willkommen"]);
      const lines = await anna.lines(id);
      expect(lines.map(({ body }) => body.kind).filter((kind) => kind === "added" || kind === "removed")).toEqual([]);
    }
    expect(anna.engine.snapshot().conversations.find(({ id }) => id === three)?.members).toHaveLength(3);
  });

  test("C7, E31: several who add at the same time all succeed: who loses a race makes its commit again", async () => {
    const names = ["Anna", "Bert", "Carl", "Dora", "Emil", "Fritz"];
    const [anna, bert, carl, dora, emil, fritz] = (await company.found(...names)) as Person[] as [
      Person,
      Person,
      Person,
      Person,
      Person,
      Person,
    ];
    const id = await anna.engine.create({ title: "Rennen", members: [bert.id, carl.id] });
    for (const person of [anna, bert, carl]) await person.settled();
    await Promise.all([
      anna.engine.add(id, [dora.id]),
      bert.engine.add(id, [emil.id]),
      carl.engine.add(id, [fritz.id, dora.id]),
    ]);
    for (const person of [anna, bert, carl]) await person.engine.send(id, `von ${person.name}`);
    const everybody = [anna, bert, carl, dora, emil, fritz];
    for (const person of everybody) {
      await expect.poll(() => person.engine.snapshot().conversations[0]?.members.length).toBe(everybody.length);
    }
    const codes = await Promise.all(everybody.map(async (person) => (await person.engine.encryption(id)).code));
    expect(new Set(codes).size).toBe(1);
    await dora.engine.send(id, "alle?");
    for (const person of everybody) {
      await expect.poll(async () => (await person.texts(id)).at(-1)).toBe("alle?");
    }
  });
});

describe("a profile that was put back to an older copy", () => {
  test("C19: shows what it had sent since, uses no key twice, and talks on", async () => {
    const { anna, bert, id } = await company.pair();
    await anna.engine.send(id, "vor der Kopie");
    await anna.settled();
    await anna.close();
    const copy = anna.copy();
    await anna.open();
    await bert.close();
    for (const text of ["eins", "zwei", "drei"]) await anna.engine.send(id, text);
    await anna.settled();
    await anna.close();
    anna.putBack(copy);
    const { epoch } = await bert
      .open()
      .then(() => bert.settled())
      .then(() => bert.engine.encryption(id));
    await anna.open();
    await anna.engine.send(id, "nach der Kopie");
    const texts = ["vor der Kopie", "eins", "zwei", "drei", "nach der Kopie"];
    await bert.shows(id, texts);
    await anna.shows(id, texts);
    expect((await anna.lines(id)).filter(({ mine }) => mine).length).toBeGreaterThanOrEqual(texts.length);
    // What came after the copy was sealed with keys of a leaf that is new
    expect((await bert.engine.encryption(id)).epoch).toBeGreaterThan(epoch);
    expect(anna.engine.snapshot().conversations[0]?.members).toEqual(bert.engine.snapshot().conversations[0]?.members);
  });

  test("C19: also when what it had sent since has been destroyed everywhere", async () => {
    const { anna, bert, id } = await company.pair();
    await anna.engine.send(id, "vor der Kopie");
    await bert.shows(id, ["vor der Kopie"]);
    await anna.settled();
    await anna.close();
    const copy = anna.copy();
    await anna.open();
    await anna.engine.send(id, "vergeht", 10_000);
    await bert.shows(id, ["vor der Kopie", "vergeht"]);
    await anna.settled();
    await anna.close();
    await expect.poll(() => bert.texts(id), { timeout: 30_000 }).toEqual(["vor der Kopie"]);
    const { epoch } = await bert.engine.encryption(id);
    anna.putBack(copy);
    await anna.open();
    await anna.settled();
    expect((await bert.engine.encryption(id)).epoch).toBeGreaterThan(epoch);
    await anna.engine.send(id, "nach der Kopie");
    await bert.shows(id, ["vor der Kopie", "nach der Kopie"]);
  });
});

describe("what has expired is gone here", () => {
  const tables: readonly Table[] = ["messages", "intents", "conversations"];
  const everything = async ({ store }: Person): Promise<string> => {
    const rows = await Promise.all(tables.map((table) => store.scan(table)));
    return rows
      .flat()
      .map(({ value }) => new TextDecoder().decode(value))
      .join();
  };

  test("X40: a timed text disappears on both sides: line, list, store", async () => {
    const { anna, bert, id } = await company.pair();
    await anna.engine.send(id, "bleibt");
    await anna.engine.send(id, "vergeht", 10_000);
    await bert.shows(id, ["bleibt", "vergeht"]);
    expect(await everything(bert)).toContain("vergeht");
    for (const person of [anna, bert]) {
      await expect.poll(() => person.texts(id)).toEqual(["bleibt"]);
      await expect.poll(() => everything(person)).not.toContain("vergeht");
      expect(person.engine.snapshot().conversations[0]?.last?.text).toBe("bleibt");
    }
    expect(bert.engine.snapshot().conversations[0]?.unread).toBe(1);
  });

  test("X40: what ran out while the profile was closed is gone before anything can be shown", async () => {
    const { anna, bert, id } = await company.pair();
    await anna.engine.send(id, "vergeht", 10_000);
    await bert.shows(id, ["vergeht"]);
    const due = (await bert.lines(id)).at(-1)?.expiresAt ?? 0;
    await bert.close();
    await new Promise((passed) => setTimeout(passed, due - Date.now() + 50));
    await bert.open({ offline: true });
    expect(await bert.texts(id)).toEqual([]);
    expect(bert.engine.snapshot().conversations[0]).toMatchObject({ last: null, unread: 0 });
    expect(await everything(bert)).not.toContain("vergeht");
  });
});
