// Groups that are beyond repair heal themselves: several engines against a real server, one of which does what the others cannot follow.

import { describe, expect, test } from "vitest";
import { toHex, utf8 } from "../../schemas/bytes.ts";
import { readHeader } from "../../schemas/envelope.ts";
import type { ClientFrame } from "../../schemas/frames.ts";
import { type ConversationId, readGroupId } from "../../schemas/ids.ts";
import type { Company, Person } from "../support/company.ts";
import { eachWithCompany } from "../support/hooks.ts";
import type { Tampering } from "../support/tampered-socket.ts";

let company: Company;

eachWithCompany((fresh) => {
  company = fresh;
});

const PATIENCE = { timeout: 40_000, interval: 50 };

/** A device whose commits nobody can follow, with a GroupInfo nobody can use, as long as it is told to. */
function wedging(): { tampering: Tampering; isHostile: boolean } {
  const hostile = {
    isHostile: false,
    tampering: {
      outgoing: (frame: ClientFrame): readonly ClientFrame[] => {
        if (!hostile.isHostile || frame.type !== "commit" || isReset(frame.bytes)) return [frame];
        const bytes = frame.bytes.slice();
        bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
        return [{ ...frame, bytes, groupInfo: utf8("of no use") }];
      },
    },
  };
  return hostile;
}

function isReset(bytes: Uint8Array): boolean {
  const header = readHeader(bytes);
  const id = header === undefined ? undefined : readGroupId(header.groupId);
  return header?.epoch === 0 && (id?.generation ?? 0) > 0;
}

/** Keeps commits of whatever kind is chosen from the server. */
function withholding(isHeld: (bytes: Uint8Array) => boolean): {
  tampering: Tampering;
  held: Set<string>;
  isOver: boolean;
} {
  const between = {
    isOver: false,
    held: new Set<string>(),
    tampering: {
      outgoing: (frame: ClientFrame): readonly ClientFrame[] => {
        if (between.isOver || frame.type !== "commit" || !isHeld(frame.bytes)) return [frame];
        between.held.add(toHex(frame.id));
        return [];
      },
    },
  };
  return between;
}

/** A server that never hands out the first welcome that waits. */
function withoutFirstWelcome(): Tampering {
  let hidden: number | undefined;
  return {
    incoming: (frame) => {
      if (frame.type !== "welcomes") return [frame];
      hidden ??= frame.welcomes[0]?.seq;
      return frame.welcomes.some(({ seq }) => seq === hidden) ? [] : [frame];
    },
  };
}

/** What somebody sees of generations: the lines that say so. */
async function renewals(person: Person, id: ConversationId): Promise<number> {
  return (await person.lines(id)).filter(({ body }) => body.kind === "renewed").length;
}

/** What somebody is told of generations and people once somebody has said something. */
async function kinds(person: Person, id: ConversationId): Promise<string[]> {
  const told = (await person.lines(id)).map(({ body }) => body.kind);
  return told.slice(told.indexOf("text")).filter((kind) => kind !== "text");
}

const authenticatorOf = async ({ engine }: Person, id: ConversationId) => (await engine.encryption(id)).code;

async function agree(people: readonly Person[], id: ConversationId): Promise<void> {
  await expect
    .poll(async () => {
      const codes = await Promise.all(people.map((person) => authenticatorOf(person, id).catch(() => null)));
      return new Set(codes).size === 1 && codes[0] != null;
    }, PATIENCE)
    .toBe(true);
}

describe("a commit that nobody can follow, with a GroupInfo that nobody can use", () => {
  test("E46, E48, E49, C30: everybody ends up in one new generation, what waits gets there once, and one line says so", async () => {
    const { anna, bert, carl, dora, id } = await company.team();
    await anna.engine.send(id, "vorher");
    for (const person of [anna, bert, carl]) await person.shows(id, ["vorher"]);
    const hostile = wedging();
    await carl.reopen({ tampering: hostile.tampering });
    await carl.settled();
    hostile.isHostile = true;
    await carl.engine.add(id, [dora.id]);
    for (const [index, person] of [anna, bert].entries()) await person.engine.send(id, `wartet ${index}`);
    const all = [anna, bert, carl, dora];
    await agree(all, id);
    for (const person of [anna, bert, carl]) {
      await expect
        .poll(async () => (await person.texts(id)).toSorted(), PATIENCE)
        .toEqual(["vorher", "wartet 0", "wartet 1"]);
    }
    for (const person of all) await person.engine.send(id, `von ${person.name}`);
    for (const person of all) {
      await expect
        .poll(async () => (await person.texts(id)).filter((text) => text.startsWith("von ")).toSorted(), PATIENCE)
        .toEqual(["von Anna", "von Bert", "von Carl", "von Dora"]);
    }
    for (const person of [anna, bert, carl]) expect(await renewals(person, id)).toBe(1);
    for (const person of all) {
      const view = person.engine.snapshot().conversations.find((one) => one.id === id);
      expect(view).toMatchObject({ title: "Backstube", state: "active" });
      expect(view?.members.toSorted()).toEqual(all.map((one) => one.id).toSorted());
      // One generation's secrets are stored, and those of no other
      const rows = await person.store.scan("groups", { prefix: `${id}/` });
      expect([...new Set(rows.map(({ key }) => key.split("/")[1]))]).toEqual(["1"]);
    }
  });
});

describe("a device that was away while its group was begun anew", () => {
  test("E46, D40: reads what came before in the old group, what comes after in the new one, and leaves nothing of the old", async () => {
    const { anna, bert, carl, dora, id } = await company.team();
    await bert.close();
    await anna.engine.send(id, "vorher");
    await carl.shows(id, ["vorher"]);
    const hostile = wedging();
    await carl.reopen({ tampering: hostile.tampering });
    await carl.settled();
    hostile.isHostile = true;
    await carl.engine.add(id, [dora.id]);
    await agree([anna, carl, dora], id);
    await anna.engine.send(id, "nachher");
    await carl.shows(id, ["vorher", "nachher"]);
    await bert.open();
    await bert.shows(id, ["vorher", "nachher"]);
    await agree([anna, bert, carl, dora], id);
    expect(await renewals(bert, id)).toBe(1);
    const rows = await bert.store.scan("groups", { prefix: `${id}/` });
    expect([...new Set(rows.map(({ key }) => key.split("/")[1]))]).toEqual(["1"]);
    await bert.engine.send(id, "auch da");
    await anna.shows(id, ["vorher", "nachher", "auch da"]);
  });

  test("D34, E55, E56: twice meanwhile: it reads what was said before, between and after, each line once and in order, and goes on; where a welcome is hidden, one line says so", async () => {
    const { anna, bert, carl, dora, id } = await company.team();
    const [eva, frieda] = [await company.join(anna, "Eva"), await company.join(anna, "Frieda")];
    await anna.engine.add(id, [frieda.id]);
    await agree([anna, bert, carl, frieda], id);
    for (const person of [bert, frieda]) {
      await person.settled();
      await person.close();
    }
    await anna.engine.send(id, "vorher");
    await carl.shows(id, ["vorher"]);
    for (const [newcomer, others] of [
      [dora, [anna, carl, dora]],
      [eva, [anna, carl, dora, eva]],
    ] as const) {
      const hostile = wedging();
      await carl.reopen({ tampering: hostile.tampering });
      await carl.settled();
      hostile.isHostile = true;
      await carl.engine.add(id, [newcomer.id]);
      await expect.poll(() => renewals(anna, id), PATIENCE).toBe(newcomer === dora ? 1 : 2);
      await agree(others, id);
      for (const person of [anna, carl, newcomer]) await person.engine.send(id, `${person.name} mit ${newcomer.name}`);
    }
    const between = ["Anna mit Dora", "Carl mit Dora", "Dora mit Dora"];
    const after = ["Anna mit Eva", "Carl mit Eva", "Eva mit Eva"];
    const everything = ["vorher", ...between, ...after];
    await expect.poll(async () => (await anna.texts(id)).toSorted(), PATIENCE).toEqual(everything.toSorted());
    const log = await anna.texts(id);
    await bert.open();
    await bert.shows(id, log);
    await agree([anna, bert, carl, dora, eva], id);
    expect(await kinds(bert, id)).toEqual(["renewed", "added", "renewed", "added"]);
    expect((await bert.lines(id)).at(-1)?.body.kind).toBe("text");
    await bert.engine.send(id, "auch da");
    for (const person of [anna, bert, carl]) await person.shows(id, [...log, "auch da"]);
    await frieda.open({ tampering: withoutFirstWelcome() });
    const readable = [...log.filter((text) => !between.includes(text)), "auch da"];
    await frieda.shows(id, readable);
    await agree([anna, bert, carl, dora, eva, frieda], id);
    const told = (await frieda.lines(id)).map(({ body }) => (body.kind === "text" ? body.text : body.kind));
    expect(told.slice(told.indexOf("vorher") + 1)).toEqual([...["missed", "renewed", "added"], ...readable.slice(1)]);
    await frieda.engine.send(id, "ich auch");
    await anna.shows(id, [...log, "auch da", "ich auch"]);
    for (const person of [bert, frieda]) {
      const rows = await person.store.scan("groups", { prefix: `${id}/` });
      expect([...new Set(rows.map(({ key }) => key.split("/")[1]))]).toEqual(["2"]);
    }
  });
});

test("E41, E46: a device that could not be welcomed lets itself in, and nobody is said to have gone or come", async () => {
  const [anna, bert, eva] = (await company.found("Anna", "Bert", "Eva")) as [Person, Person, Person];
  const dora = company.person("Dora");
  await dora.open({ withoutStock: true });
  const link = await anna.engine.invite({ role: "member", uses: 1, expiresIn: 3_600_000 });
  await dora.engine.join({ link, name: "Dora", deviceName: "Test" });
  await expect.poll(() => anna.engine.snapshot().members.length, PATIENCE).toBe(4);
  const id = await anna.engine.create({ title: "Backstube", members: [bert.id, dora.id] });
  await dora.reopen({ withoutStock: true });
  await agree([anna, bert, dora], id);
  const hostile = wedging();
  await bert.reopen({ tampering: hostile.tampering });
  await bert.settled();
  await agree([anna, bert, dora], id);
  const before = (await anna.lines(id)).length;
  hostile.isHostile = true;
  await bert.engine.add(id, [eva.id]);
  await agree([anna, bert, dora, eva], id);
  for (const person of [anna, bert, dora, eva]) await person.engine.send(id, `von ${person.name}`);
  for (const person of [anna, bert, dora]) {
    await expect.poll(async () => (await person.texts(id)).length, PATIENCE).toBe(4);
    const everybody = [anna, bert, dora, eva].map((one) => one.id).toSorted();
    const view = person.engine.snapshot().conversations.find((one) => one.id === id);
    expect(view?.members.toSorted()).toEqual(everybody);
  }
  const notices = (await anna.lines(id)).slice(before).filter(({ body }) => body.kind !== "text");
  expect(notices.map(({ body }) => body.kind).toSorted()).toEqual(["added", "renewed"]);
  expect(notices.map(({ body }) => body)).toContainEqual({ kind: "added", members: [eva.id] });
});

describe("a conversation whose founder is gone before its first commit", () => {
  test("C31: the others get in by themselves, and can name it", async () => {
    const [anna, bert, carl] = (await company.found("Anna", "Bert", "Carl")) as [Person, Person, Person];
    await bert.reopen({ tampering: withholding(() => true).tampering });
    const id = await bert.engine.create({ title: "Nie begonnen", members: [anna.id, carl.id] });
    await expect.poll(() => bert.paths().some((path) => path.includes(id)), PATIENCE).toBe(true);
    const { device } = bert.engine.snapshot().account ?? {};
    if (device === undefined) throw new Error("no account");
    await anna.engine.revokeDevice(device);
    for (const person of [anna, carl]) await person.reopen();
    await agree([anna, carl], id);
    await anna.engine.send(id, "ist da wer?");
    await carl.shows(id, ["ist da wer?"]);
    await carl.engine.rename(id, "Doch begonnen");
    const titleOf = ({ engine }: Person) => engine.snapshot().conversations.find((one) => one.id === id)?.title;
    await expect.poll(() => titleOf(anna), PATIENCE).toBe("Doch begonnen");
    expect(Math.max(await renewals(anna, id), await renewals(carl, id))).toBeLessThanOrEqual(1);
  });
});

test("C30: who all begin anew at the same moment end up in one generation, with everything said in it once", async () => {
  const { anna, bert, carl, dora, id } = await company.team();
  const held = [anna, bert].map(() => withholding(isReset));
  for (const [index, person] of [anna, bert].entries()) {
    await person.reopen({ tampering: held[index]?.tampering ?? {} });
    await person.settled();
  }
  const hostile = wedging();
  const ownReset = withholding(isReset);
  const both = (frame: ClientFrame) =>
    (ownReset.tampering.outgoing?.(frame, "") ?? [frame]).flatMap(
      (one) => hostile.tampering.outgoing?.(one, "") ?? [one],
    );
  await carl.reopen({ tampering: { outgoing: both } });
  await carl.settled();
  hostile.isHostile = true;
  await carl.engine.add(id, [dora.id]);
  const three = [anna, bert, carl];
  for (const person of three) await person.engine.send(id, `von ${person.name}`);
  const all = [...held, ownReset];
  await expect.poll(() => all.every((one) => one.held.size === 1), PATIENCE).toBe(true);
  for (const one of all) one.isOver = true;
  for (const person of three) person.cut();
  await agree([...three, dora], id);
  for (const person of three) {
    await expect
      .poll(async () => (await person.texts(id)).toSorted(), PATIENCE)
      .toEqual(["von Anna", "von Bert", "von Carl"]);
    expect(await renewals(person, id)).toBe(1);
    const rows = await person.store.scan("groups", { prefix: `${id}/` });
    expect([...new Set(rows.map(({ key }) => key.split("/")[1]))]).toEqual(["1"]);
  }
});
