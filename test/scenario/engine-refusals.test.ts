import { describe, expect, test } from "vitest";
import type { ClientFrame } from "../../schemas/frames.ts";
import type { ConversationId } from "../../schemas/ids.ts";
import type { Company, Person } from "../support/company.ts";
import { eachWithCompany } from "../support/hooks.ts";

let company: Company;

eachWithCompany((fresh) => {
  company = fresh;
});

const newest = async ({ engine }: Person, id: ConversationId) => (await engine.timeline(id, { limit: 1 })).at(-1);
const hasState = (person: Person, id: ConversationId, state: string) =>
  expect.poll(async () => (await newest(person, id))?.state).toBe(state);

describe("a refused text stays to be looked at", () => {
  const spoil = (frame: ClientFrame): readonly ClientFrame[] =>
    frame.type === "send" ? [{ ...frame, bytes: new Uint8Array([1]) }] : [frame];

  test("C17: it says why, holds up nobody, and can be retried or discarded", async () => {
    const { anna, bert, id } = await company.pair();
    await anna.reopen({ tampering: { outgoing: spoil } });
    const [first, second] = [await anna.engine.send(id, "erste"), await anna.engine.send(id, "zweite")];
    await hasState(anna, id, "failed");
    await expect.poll(async () => (await anna.lines(id)).filter(({ state }) => state === "failed").length).toBe(2);
    expect(await newest(anna, id)).toMatchObject({ key: second, refusal: "malformed" });
    await anna.reopen();
    expect((await anna.lines(id)).filter(({ state }) => state === "failed")).toHaveLength(2);
    await anna.engine.send(id, "dritte");
    await bert.shows(id, ["dritte"]);
    await anna.engine.discard(id, first);
    await anna.engine.retry(id, second);
    await bert.shows(id, ["dritte", "zweite"]);
    await anna.settled();
    expect(await anna.texts(id)).toEqual(["dritte", "zweite"]);
    expect((await anna.lines(id)).at(-1)?.key).toBe(second);
  });

  test("C18: what no conversation can take is refused before it is a wish", async () => {
    const { anna, id } = await company.pair();
    await expect(anna.engine.send(id, "")).rejects.toMatchObject({ code: "malformed" });
    await expect(anna.engine.send(id, "x".repeat(8_001))).rejects.toMatchObject({ code: "too_large" });
    await expect(anna.engine.rename(id, " ")).rejects.toMatchObject({ code: "malformed" });
    const nobody = await anna.engine
      .create({ title: null, members: ["AAAAAAAAAAAAAAAAAAAAAA" as never] })
      .catch((no) => no);
    expect(nobody).toMatchObject({ code: "not_found" });
    expect(anna.engine.snapshot().conversations).toHaveLength(1);
  });
});

describe("a flood keeps its order", () => {
  test("C12, C13: past the server's rate and past the renewal of keys, nothing overtakes", async () => {
    const { anna, bert, id } = await company.pair();
    const texts = Array.from({ length: 1_060 }, (_, index) => `Krume ${index}`);
    await Promise.all(texts.map((text) => anna.engine.send(id, text)));
    await anna.engine.settled(60_000);
    await bert.shows(id, texts);
    expect(await anna.texts(id)).toEqual(texts);
    expect((await anna.engine.encryption(id)).epoch).toBe(2);
  });
});

describe("a timer runs from the moment the server may have the text", () => {
  test("X41: unheard of, it becomes unreadable here, and its ciphertext still goes out", async () => {
    const { anna, bert, id } = await company.pair();
    let sealed = 0;
    const outgoing = (frame: ClientFrame): readonly ClientFrame[] => {
      if (frame.type !== "send") return [frame];
      sealed++;
      return [];
    };
    await anna.reopen({ tampering: { outgoing } });
    await anna.engine.send(id, "vergeht", 10_000);
    await expect.poll(() => sealed).toBe(1);
    const sentAt = Date.now();
    await anna.close();
    await new Promise((passed) => setTimeout(passed, sentAt + 10_100 - Date.now()));
    await anna.open({ offline: true });
    expect(await anna.texts(id)).toEqual([]);
    const rows = await anna.store.scan("intents");
    expect(rows).toHaveLength(1);
    expect(rows.map(({ value }) => new TextDecoder().decode(value)).join()).not.toContain("vergeht");
    await anna.reopen();
    await bert.shows(id, ["vergeht"]);
    await anna.settled();
    expect(await anna.store.scan("intents")).toEqual([]);
    expect(await anna.texts(id)).toEqual([]);
  });
});
