import { describe, expect, test } from "vitest";
import { decodeRecord, type IntentRecord } from "../../client/engine/records.ts";
import { toBase64url } from "../../schemas/bytes.ts";
import { encodeCbor } from "../../schemas/cbor.ts";
import { chain, digestOf } from "../../schemas/chain.ts";
import type { ClientFrame, EnvelopesFrame } from "../../schemas/frames.ts";
import type { ConversationId } from "../../schemas/ids.ts";
import type { Company, Person } from "../support/company.ts";
import { eachWithCompany } from "../support/hooks.ts";
import { LeapingClock } from "../support/leaping-clock.ts";
import { Nonces } from "../support/nonces.ts";
import type { Incoming } from "../support/tampered-socket.ts";
import { WireTap } from "../support/wire-tap.ts";

let company: Company;

eachWithCompany((fresh) => {
  company = fresh;
});

interface Three {
  readonly anna: Person;
  readonly bert: Person;
  readonly carl: Person;
  /** Anna and Bert are in it. */
  readonly id: ConversationId;
}

async function three(): Promise<Three> {
  const [anna, bert, carl] = (await company.found("Anna", "Bert", "Carl")) as [Person, Person, Person];
  const id = await anna.engine.create({ title: "Backstube", members: [bert.id] });
  await anna.settled();
  await bert.settled();
  return { anna, bert, carl, id };
}

const stateOf = ({ engine }: Person): string | undefined => engine.snapshot().conversations[0]?.state;

/** Sends whose bytes differ from an earlier send of the same id are two ciphertexts of one message. */
class Wire {
  readonly sent = new Map<string, Set<string>>();

  readonly note = (frame: ClientFrame): readonly ClientFrame[] => {
    if (frame.type === "send" || frame.type === "commit") {
      const id = toBase64url(frame.id);
      this.sent.set(id, (this.sent.get(id) ?? new Set()).add(toBase64url(frame.bytes)));
    }
    return [frame];
  };
}

describe("a crash at any write loses nothing, repeats nothing and reuses no key", () => {
  test("C1, C2: a crash of the sender", async () => {
    const { anna, bert, id } = await three();
    const wire = new Wire();
    const tap = new WireTap();
    const nonces = new Nonces();
    nonces.note((await anna.store.scan("groups")).map(({ key, value }) => ({ table: "groups", key, value })));
    const tampering = tap.tampering({ outgoing: wire.note });
    const expected: string[] = [];
    let deaths = 0;
    for (let write = 1; write <= 14; write++) {
      await anna.reopen({ diesAtWrite: write, tampering });
      const text = `Versuch ${write}`;
      const durable = await anna.engine.send(id, text).then(
        () => true,
        () => false,
      );
      if (durable) expected.push(text);
      await until(async () => anna.isDead || (await anna.lines(id)).every(({ state }) => state !== "waiting"));
      if (anna.isDead) deaths++;
    }
    expect(deaths).toBeGreaterThan(4);
    await anna.reopen({ tampering });
    await anna.settled();
    await bert.shows(id, expected);
    expect(await anna.texts(id)).toEqual(expected);
    expect(wire.sent.size).toBe(expected.length);
    for (const ciphertexts of wire.sent.values()) expect(ciphertexts.size).toBe(1);
    expect(await nonces.judge(tap.left)).toEqual({ faults: [], keys: expected.length });
  });

  test("C5: a crash of the receiver", async () => {
    const { anna, bert, id } = await three();
    const expected: string[] = [];
    let deaths = 0;
    for (let write = 1; write <= 8; write++) {
      await bert.close();
      for (const text of [`${write} a`, `${write} b`]) {
        await anna.engine.send(id, text);
        expected.push(text);
      }
      await anna.settled();
      await bert.open({ diesAtWrite: write });
      await until(async () => bert.isDead || (await bert.texts(id)).length === expected.length);
      if (bert.isDead) deaths++;
    }
    expect(deaths).toBeGreaterThan(2);
    await bert.reopen();
    await bert.shows(id, expected);
    expect((await bert.lines(id)).map(({ body }) => body.kind)).not.toContain("unreadable");
    await bert.engine.send(id, "alles da");
    await anna.shows(id, [...expected, "alles da"]);
  });

  test("C1, C7: a crash of who adds somebody", async () => {
    const { anna, bert, carl, id } = await three();
    let deaths = 0;
    for (let write = 1; write <= 9; write++) {
      await anna.reopen({ diesAtWrite: write });
      await anna.engine.add(id, [carl.id]).catch(() => undefined);
      await until(() => anna.isDead || (anna.engine.snapshot().conversations[0]?.members.length ?? 0) === 3);
      if (anna.isDead) deaths++;
    }
    expect(deaths).toBeGreaterThan(3);
    await anna.reopen();
    await anna.engine.add(id, [carl.id]);
    await anna.settled();
    await carl.engine.send(id, "bin da").catch(() => undefined);
    await until(() => carl.engine.snapshot().conversations[0]?.state === "active");
    await carl.engine.send(id, "ich auch");
    for (const person of [anna, bert]) await until(async () => (await person.texts(id)).at(-1) === "ich auch");
    const codes = await Promise.all([anna, bert, carl].map(async (one) => (await one.engine.encryption(id)).code));
    expect(new Set(codes).size).toBe(1);
  });
});

describe("the network may do what it likes", () => {
  test("C2, O13: lost echoes: resent with the same bytes, stored once", async () => {
    const { anna, bert, id } = await three();
    const wire = new Wire();
    let deaf = true;
    const incoming = (frame: Incoming) => (deaf && frame.type === "envelopes" ? [] : [frame]);
    await anna.reopen({ tampering: { incoming, outgoing: wire.note } });
    for (const text of ["eins", "zwei", "drei"]) await anna.engine.send(id, text);
    await bert.shows(id, ["eins", "zwei", "drei"]);
    expect((await anna.lines(id)).filter(({ state }) => state === "waiting")).toHaveLength(3);
    deaf = false;
    anna.cut();
    await anna.settled();
    expect(await anna.texts(id)).toEqual(["eins", "zwei", "drei"]);
    expect(await bert.texts(id)).toEqual(["eins", "zwei", "drei"]);
    for (const ciphertexts of wire.sent.values()) expect(ciphertexts.size).toBe(1);
  });

  for (const lost of ["a send", "an echo"] as const) {
    test(`N23, C2: ${lost} lost on a socket that lives: sent again by itself with the same bytes, stored once`, async () => {
      const { anna, bert, id } = await three();
      const wire = new Wire();
      const clock = new LeapingClock();
      let isArmed = false;
      const vanishes = (is: typeof lost): boolean => {
        const now = isArmed && is === lost;
        if (now) isArmed = false;
        return now;
      };
      const incoming = (frame: Incoming) => (frame.type === "envelopes" && vanishes("an echo") ? [] : [frame]);
      const outgoing = (frame: ClientFrame): readonly ClientFrame[] =>
        frame.type === "send" && vanishes("a send") ? wire.note(frame).slice(1) : wire.note(frame);
      await anna.settled();
      await anna.reopen({ clock, tampering: { incoming, outgoing } });
      await anna.settled();
      isArmed = true;
      await anna.engine.send(id, "eins");
      await until(() => !isArmed);
      const waiting = async () => (await anna.lines(id)).filter(({ state }) => state === "waiting").length;
      expect(await waiting()).toBe(1);
      await expect
        .poll(
          async () => {
            clock.leap(4_000);
            return waiting();
          },
          { timeout: 30_000, interval: 100 },
        )
        .toBe(0);
      for (const person of [anna, bert]) await person.shows(id, ["eins"]);
      for (const ciphertexts of wire.sent.values()) expect(ciphertexts.size).toBe(1);
    });
  }

  test("C16: a text sealed while the connection breaks does not overtake older ones on the next", async () => {
    const { anna, bert, id } = await three();
    let mute = true;
    let muted = 0;
    let ready = 0;
    let isSealing = false;
    await anna.reopen({
      tampering: {
        incoming: (frame, url) => {
          if (frame.type === "ready" && url.includes(id)) ready++;
          return [frame];
        },
        outgoing: (frame) => {
          if (!mute || frame.type !== "send") return [frame];
          muted++;
          return [];
        },
      },
      beforeWrite: async (writes) => {
        const isSeal = ["groups", "intents"].every((table) => writes.some((write) => write.table === table));
        if (!isSealing || !isSeal) return;
        isSealing = false;
        const before = ready;
        mute = false;
        anna.cut();
        await until(() => ready > before);
      },
    });
    await anna.settled();
    await anna.engine.send(id, "eins");
    await anna.engine.send(id, "zwei");
    await until(() => muted === 2);
    isSealing = true;
    await anna.engine.send(id, "drei");
    await bert.shows(id, ["eins", "zwei", "drei"]);
    expect(isSealing).toBe(false);
  });

  test("C16: a text sealed anew for a new epoch is not overtaken by a newer one on the same socket", async () => {
    const { anna, bert, carl, id } = await three();
    let swallowed = 0;
    const outgoing = (frame: ClientFrame): readonly ClientFrame[] =>
      frame.type === "send" && swallowed++ === 0 ? [] : [frame];
    await anna.reopen({ tampering: { outgoing } });
    await anna.settled();
    await anna.engine.send(id, "eins");
    await until(() => swallowed === 1);
    await bert.engine.add(id, [carl.id]);
    await until(() => anna.engine.snapshot().conversations[0]?.members.length === 3);
    await anna.engine.send(id, "zwei");
    await bert.shows(id, ["eins", "zwei"]);
    await carl.shows(id, ["eins", "zwei"]);
  });

  test("C16: a text that does not fit into the socket now is not overtaken by a smaller one", async () => {
    const { anna, bert, id } = await three();
    // Room for a short text, none for a long one
    let waiting = 4 * 1024 * 1024 - 4_000;
    let sent = 0;
    const outgoing = (frame: ClientFrame): readonly ClientFrame[] => {
      if (frame.type === "send") sent++;
      return [frame];
    };
    await anna.reopen({ tampering: { outgoing, waiting: () => waiting } });
    await anna.settled();
    const texts = ["lang".padEnd(7_000, "."), "kurz"];
    await Promise.all(texts.map((text) => anna.engine.send(id, text)));
    await until(async () => (await anna.store.scan("intents")).every(({ value }) => isSealed(value)));
    expect(sent).toBe(0);
    waiting = 0;
    await bert.shows(id, texts);
  });

  test("C4, O13: every frame twice, both ways: each line once", async () => {
    const { anna, bert, id } = await three();
    const twice = {
      incoming: (frame: Incoming) => (frame.type === "envelopes" ? [frame, frame] : [frame]),
      outgoing: (frame: ClientFrame) => (frame.type === "send" ? [frame, frame] : [frame]),
    };
    await anna.reopen({ tampering: twice });
    await bert.reopen({ tampering: twice });
    const texts = Array.from({ length: 40 }, (_, index) => `Semmel ${index}`);
    await Promise.all(texts.map((text) => anna.engine.send(id, text)));
    await bert.shows(id, texts);
    await anna.settled();
    expect(await anna.texts(id)).toEqual(texts);
  });

  test("C4: a withheld frame leaves a gap, and the gap is fetched", async () => {
    const { anna, bert, id } = await three();
    let withheld = 0;
    const incoming = (frame: Incoming) => {
      if (frame.type !== "envelopes" || withheld > 0) return [frame];
      withheld++;
      return [];
    };
    await bert.settled();
    await bert.reopen();
    await bert.settled();
    await bert.reopen({ tampering: { incoming } });
    await bert.settled();
    await anna.engine.send(id, "eins");
    await until(() => withheld === 1);
    await anna.engine.send(id, "zwei");
    await bert.shows(id, ["eins", "zwei"]);
  });

  test("C2: a text sealed for an epoch that ended is sealed anew, under the same id, for those who are in it now", async () => {
    const { anna, bert, carl, id } = await three();
    const wire = new Wire();
    let mute = true;
    const outgoing = (frame: ClientFrame) =>
      mute && frame.type === "send" ? wire.note(frame).slice(1) : wire.note(frame);
    await anna.reopen({ tampering: { outgoing } });
    await anna.settled();
    const key = await anna.engine.send(id, "noch da");
    await until(() => wire.sent.size === 1);
    await anna.close();
    await bert.engine.add(id, [carl.id]);
    await bert.settled();
    mute = false;
    await anna.open({ tampering: { outgoing } });
    await anna.settled();
    for (const person of [bert, carl]) await person.shows(id, ["noch da"]);
    expect(wire.sent.get(key)?.size).toBe(2);
  });

  test("C8: whoever is online commits a removal out when the remover cannot", async () => {
    const { anna, bert, carl, id } = await three();
    await anna.engine.add(id, [carl.id]);
    await anna.settled();
    await anna.reopen({ tampering: { outgoing: (frame) => (frame.type === "commit" ? [] : [frame]) } });
    await anna.engine.remove(id, bert.id);
    await carl.settled();
    await carl.engine.send(id, "ohne Bert");
    await until(async () => (await anna.texts(id)).at(-1) === "ohne Bert");
    expect(stateOf(bert)).toBe("ended");
    expect(anna.engine.snapshot().conversations[0]?.members).toHaveLength(2);
  });
});

describe("a server that lies about the log is found out", () => {
  test("C6: changed bytes: nothing of it is shown", async () => {
    const { anna, bert, id } = await three();
    await anna.engine.send(id, "echt");
    await bert.shows(id, ["echt"]);
    const incoming = (frame: Incoming) => {
      if (frame.type !== "envelopes") return [frame];
      const envelopes = frame.envelopes.map((one) => ({
        ...one,
        bytes: one.bytes?.map((byte, at) => (at > 60 ? byte ^ 1 : byte)) ?? null,
      }));
      return [{ ...frame, envelopes }];
    };
    await bert.reopen({ tampering: { incoming } });
    await anna.engine.send(id, "gefälscht");
    await until(() => stateOf(bert) === "broken");
    expect(await bert.texts(id)).toEqual(["echt"]);
    await bert.reopen();
    expect(stateOf(bert)).toBe("broken");
  });

  test("C6: a log that ends before what was seen: rolled back", async () => {
    const { anna, bert, id } = await three();
    await anna.engine.send(id, "eins");
    await bert.shows(id, ["eins"]);
    const incoming = (frame: Incoming) =>
      frame.type === "ready" && "head" in frame
        ? [{ ...frame, head: { ...frame.head, seq: frame.head.seq - 1 } }]
        : [frame];
    await bert.reopen({ tampering: { incoming } });
    await until(() => stateOf(bert) === "broken");
  });

  test("C6: another log of the same length: forked", async () => {
    const { bert } = await three();
    const incoming = (frame: Incoming) =>
      frame.type === "ready" && "head" in frame
        ? [{ ...frame, head: { ...frame.head, hash: new Uint8Array(32) } }]
        : [frame];
    await bert.reopen({ tampering: { incoming } });
    await until(() => stateOf(bert) === "broken");
  });

  test("C6, C33: a consistent log with one message left out: one other is told of, two are proof", async () => {
    const { anna, bert, carl, id } = await three();
    await anna.engine.add(id, [carl.id]);
    for (const person of [anna, bert, carl]) await person.settled();
    const fork = new Fork();
    await bert.reopen({ tampering: { incoming: (frame) => fork.pass(frame) } });
    await bert.settled();
    fork.begin();
    await anna.engine.send(id, "wird unterschlagen");
    await anna.settled();
    await anna.engine.send(id, "zweite");
    await bert.shows(id, ["zweite"]);
    await until(async () => (await contradictions(bert, id)).join() === anna.id);
    expect(stateOf(bert)).toBe("active");
    await carl.settled();
    await carl.engine.send(id, "dritte");
    await until(() => stateOf(bert) === "broken");
    expect(await bert.texts(id)).not.toContain("dritte");
  });

  test("C33: whoever has seen another log, or says so, stops nobody else", async () => {
    const { anna, bert, carl, id } = await three();
    await anna.engine.add(id, [carl.id]);
    for (const person of [anna, bert, carl]) await person.settled();
    const fork = new Fork();
    await carl.reopen({ tampering: { incoming: (frame) => fork.pass(frame) } });
    await carl.settled();
    fork.begin();
    await anna.engine.send(id, "eins");
    await anna.settled();
    await anna.engine.send(id, "zwei");
    await carl.shows(id, ["zwei"]);
    for (const text of ["drei", "vier"]) await carl.engine.send(id, text);
    for (const person of [anna, bert]) {
      await person.shows(id, ["eins", "zwei", "drei", "vier"]);
      expect(await contradictions(person, id)).toEqual([carl.id]);
      expect(stateOf(person)).toBe("active");
    }
    await bert.engine.send(id, "weiter");
    await anna.shows(id, ["eins", "zwei", "drei", "vier", "weiter"]);
  });
});

/** Bert gets in, and both can read each other again. */
async function backIn({ anna, bert, id }: Pick<Awaited<ReturnType<typeof three>>, "anna" | "bert" | "id">) {
  await until(() => stateOf(bert) === "active");
  await anna.engine.send(id, "wieder da");
  await until(async () => (await bert.texts(id)).at(-1) === "wieder da");
  await bert.engine.send(id, "ja");
  await until(async () => (await anna.texts(id)).at(-1) === "ja");
}

describe("a device that cannot follow lets itself in again", () => {
  test("C9, C10: after a commit that killed it twice", async () => {
    const { anna, bert, carl, id } = await three();
    const { seq } = (await anna.lines(id)).at(-1) ?? {};
    await bert.settled();
    const [row] = await bert.store.scan("conversations");
    expect(row?.key).toBe(id);
    await bert.close();
    await anna.engine.add(id, [carl.id]);
    await anna.settled();
    const added = (await anna.lines(id)).at(-1)?.seq ?? 0;
    expect(added).toBeGreaterThan(seq ?? 0);
    await bert.open({ offline: true });
    const marker = encodeCbor({ from: added, to: added, deaths: 2 });
    await bert.store.write([{ table: "quarantine", key: id, value: marker }]);
    await bert.reopen();
    await until(async () => (await bert.engine.encryption(id)).devices.length === 3);
    await carl.engine.send(id, "wieder alle");
    await until(async () => (await bert.texts(id)).at(-1) === "wieder alle");
    await bert.engine.send(id, "ja");
    await until(async () => (await anna.texts(id)).at(-1) === "ja");
  });

  test("C10: what was marked together and killed the engine is looked at one by one", async () => {
    const { anna, bert, id } = await three();
    await bert.settled();
    const seq = (await bert.lines(id)).at(-1)?.seq ?? 0;
    await bert.close();
    const texts = ["eins", "zwei", "drei"];
    for (const text of texts) await anna.engine.send(id, text);
    await anna.settled();
    const last = (await anna.lines(id)).at(-1)?.seq ?? 0;
    await bert.open({ offline: true });
    await bert.store.write([
      { table: "quarantine", key: id, value: encodeCbor({ from: seq + 1, to: last, deaths: 9 }) },
    ]);
    await bert.reopen();
    await until(async () => (await bert.texts(id)).slice(-texts.length).join() === texts.join());
    await bert.settled();
    expect(await bert.store.get("quarantine", id)).toBeUndefined();
  });

  test("C9, C41: let in anew after a removal, by a welcome at which it died", { timeout: 120_000 }, async () => {
    const { anna, bert, id } = await three();
    await anna.engine.remove(id, bert.id);
    await until(() => stateOf(bert) === "ended");
    let isMarked = false;
    await bert.reopen({
      beforeWrite: async (writes) => {
        if (isMarked) throw new Error("the process is dead");
        isMarked = writes.some(({ table, key }) => table === "quarantine" && key.startsWith("welcome/"));
      },
    });
    await anna.settled();
    await anna.engine.add(id, [bert.id]);
    await until(() => isMarked);
    await bert.reopen();
    await backIn({ anna, bert, id });
  });

  test("C9, C41: let in anew after a removal, by somebody who has no key package for it", async () => {
    const { anna, bert, id } = await three();
    await anna.engine.remove(id, bert.id);
    await until(() => stateOf(bert) === "ended");
    const withoutPackages: typeof fetch = (input, init) =>
      /\/members\/.*\/key-packages$/.test(String(input))
        ? Promise.resolve(Response.json({ packages: [] }))
        : fetch(input, init);
    await anna.reopen({ fetch: withoutPackages });
    await anna.engine.add(id, [bert.id]);
    await backIn({ anna, bert, id });
  });

  test("C9: after a welcome that it has no key for", async () => {
    const { anna, carl, id } = await three();
    const packages = await carl.store.scan("keypackages");
    await carl.store.write(packages.map(({ key }) => ({ table: "keypackages", key, value: null })));
    await anna.engine.add(id, [carl.id]);
    await anna.settled();
    await until(() => stateOf(carl) === "active");
    await anna.engine.send(id, "willkommen");
    await carl.shows(id, ["willkommen"]);
    await carl.engine.send(id, "danke");
    await anna.shows(id, ["willkommen", "danke"]);
  });
});

const isSealed = (intent: Uint8Array): boolean => decodeRecord<IntentRecord>(intent).sealed !== null;

/** Who is said to have seen another log, line by line. */
async function contradictions(person: Person, id: ConversationId): Promise<(string | null)[]> {
  return (await person.lines(id)).flatMap(({ body, from }) => (body.kind === "contradicted" ? [from] : []));
}

/** Leaves one envelope out for its reader and makes everything after it fit again. */
class Fork {
  #left: number | null = null;
  #hash: Uint8Array | null = null;
  #armed = false;

  begin(): void {
    this.#armed = true;
  }

  pass(frame: Incoming): readonly Incoming[] {
    if (frame.type === "ready" && "head" in frame) this.#hash = frame.head.hash;
    if (frame.type !== "envelopes") return [frame];
    const envelopes: EnvelopesFrame["envelopes"] = [];
    for (const envelope of frame.envelopes) {
      if (this.#armed && this.#left === null) this.#left = envelope.seq;
      else envelopes.push({ ...envelope, seq: envelope.seq - (this.#left === null ? 0 : 1) });
    }
    for (const { id, seq, bytes } of envelopes)
      this.#hash = chain(this.#hash ?? frame.hash, seq, digestOf(id, bytes ?? id));
    if (envelopes.length === 0) return [];
    return [{ ...frame, envelopes, hash: (this.#hash ?? frame.hash) as typeof frame.hash, head: frame.head - 1 }];
  }
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const safely = async (): Promise<boolean> => holds();
  await expect.poll(() => safely().catch(() => false), { interval: 10 }).toBe(true);
}
