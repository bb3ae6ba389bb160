import { expect, test } from "vitest";
import { blankRecord } from "../../client/engine/blank.ts";
import { Ledger } from "../../client/engine/ledger.ts";
import type { ConversationRecord } from "../../client/engine/records.ts";
import { type Store, storeRefusal } from "../../client/engine/store.ts";
import type { Surroundings } from "../../client/engine/surroundings.ts";
import { type ConversationId, newId } from "../../schemas/ids.ts";
import { memoryStore } from "../support/memory-store.ts";

const id = newId<ConversationId>();

const RECORD: ConversationRecord = {
  ...blankRecord({ id, kind: "group", activeAt: 0 }),
  founded: true,
  state: "active",
};

/** A ledger on a store that can be made to fail, with all that a ledger itself asks of its surroundings. */
function ledgerOn() {
  const store = memoryStore();
  const state = { error: null as Error | null, faults: 0, failed: 0, scanned: null as (() => void) | null };
  const failing = {
    get: (...key: Parameters<Store["get"]>) => store.get(...key),
    scan: async (...range: Parameters<Store["scan"]>) => {
      const entries = await store.scan(...range);
      state.scanned?.();
      return entries;
    },
    write: async (...writes: Parameters<Store["write"]>) => {
      if (state.error !== null) throw state.error;
      await store.write(...writes);
    },
  };
  const surroundings = {
    store: failing,
    siblings: { enter: () => undefined, settle: () => undefined },
    people: { save: () => () => undefined },
    live: { timeline: () => undefined },
    keep: () => undefined,
    fault: () => {
      state.faults += 1;
    },
  } as unknown as Surroundings;
  const ledger = new Ledger(surroundings, { record: RECORD, intents: [] });
  ledger.failed = () => {
    state.failed += 1;
  };
  return { ledger, state };
}

/** Takes in `seq` and wishes for a text, in one write. */
async function advance(ledger: Ledger, seq: number): Promise<boolean | undefined> {
  return ledger.turn(async () => {
    const draft = ledger.draft();
    const intent = ledger.outbox.compose({ kind: "text", text: `${seq}`, expiresIn: null }, 0);
    draft.set({ cursor: seq });
    draft.intend(intent);
    draft.afterwards(() => ledger.outbox.put(intent));
    ledger.heads.add({ seq, hash: new Uint8Array(32).fill(seq) });
    await ledger.save(draft);
    return true;
  });
}

const texts = ({ outbox }: Ledger) => outbox.all.flatMap(({ wish }) => (wish?.kind === "text" ? [wish.text] : []));

test("C34: what a failing store did not take never was; the next work begins with what it has", async () => {
  const { ledger, state } = ledgerOn();
  expect(await advance(ledger, 1)).toBe(true);
  state.error = storeRefusal("quota", "full");
  expect(await advance(ledger, 2)).toBeUndefined();
  expect(await advance(ledger, 3)).toBeUndefined();
  expect(state).toMatchObject({ failed: 2, faults: 2 });
  expect(ledger.failures).toBe(2);
  state.error = null;
  expect(await ledger.turn(async () => ledger.record.cursor)).toBe(1);
  expect(texts(ledger)).toEqual(["1"]);
  expect(ledger.heads.confirms({ seq: 2, hash: new Uint8Array(32).fill(2) })).toBe(false);
  expect(await advance(ledger, 4)).toBe(true);
  expect(texts(ledger)).toEqual(["1", "4"]);
  expect(new Set(ledger.outbox.all.map(({ order }) => order)).size).toBe(2);
  expect(ledger.failures).toBe(0);
});

test("C34: a wish that was kept meanwhile is not forgotten with what was not", async () => {
  const { ledger, state } = ledgerOn();
  state.error = storeRefusal("unavailable", "sqlite 10");
  expect(await advance(ledger, 1)).toBeUndefined();
  const intent = ledger.outbox.compose({ kind: "text", text: "kept", expiresIn: null }, 0);
  state.scanned = () => ledger.outbox.put(intent);
  expect(await ledger.turn(async () => true)).toBe(true);
  expect(texts(ledger)).toContain("kept");
});

test("C34: a store that is closed, damaged or somebody else's, and a bug, stop it for good", async () => {
  for (const error of [
    storeRefusal("unavailable", "closed"),
    storeRefusal("unavailable", "damaged"),
    storeRefusal("conflict", "in_use"),
    new TypeError("bug"),
  ]) {
    const { ledger, state } = ledgerOn();
    state.error = error;
    expect(await advance(ledger, 1)).toBeUndefined();
    state.error = null;
    expect(ledger.stopped).toBe(true);
    expect(await advance(ledger, 2)).toBeUndefined();
    expect(state.failed).toBe(0);
  }
});
