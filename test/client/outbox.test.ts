import { describe, expect, test } from "vitest";
import { Outbox } from "../../client/engine/outbox.ts";
import type { IntentRecord, Wish } from "../../client/engine/records.ts";
import { type ConversationId, newId } from "../../schemas/ids.ts";

const conversation = newId<ConversationId>();
const text = (words: string): Wish => ({ kind: "text", text: words, expiresIn: null });

function put(outbox: Outbox, wish: Wish, fields: Partial<IntentRecord> = {}): IntentRecord {
  const intent = { ...outbox.compose(wish, 0), ...fields };
  outbox.put(intent);
  return intent;
}

describe("the outbox keeps wishes in their order", () => {
  test("C16: intents go out as they were made, also after a restart in any order of rows", () => {
    const outbox = new Outbox(conversation, []);
    const made = ["eins", "zwei", "drei"].map((words) => put(outbox, text(words)));
    expect(outbox.open).toEqual(made);
    const again = new Outbox(conversation, made.toReversed());
    expect(again.open).toEqual(made);
    expect(again.compose(text("vier"), 0).order).toBe(4);
  });

  test("C8, C9: a device that is lost lets itself in first; who is out is committed out before anybody speaks", () => {
    const outbox = new Outbox(conversation, []);
    put(outbox, text("eins"));
    put(outbox, { kind: "expel", leaves: [2] });
    put(outbox, { kind: "rejoin" });
    expect(outbox.open.map(({ wish }) => wish?.kind)).toEqual(["rejoin", "expel", "text"]);
  });

  test("C17: a failed intent stays to be seen and holds nobody up", () => {
    const outbox = new Outbox(conversation, []);
    const failed = put(outbox, text("zu spät"), { refusal: "conflict" });
    const next = put(outbox, text("weiter"));
    expect(outbox.open).toEqual([next]);
    expect(outbox.all).toEqual([failed, next]);
  });

  test("C16: a changed intent takes its own place, a deleted one leaves none", () => {
    const outbox = new Outbox(conversation, []);
    const first = put(outbox, text("eins"));
    const second = put(outbox, text("zwei"));
    outbox.put({ ...first, wish: null });
    expect(outbox.all.map(({ wish }) => wish)).toEqual([null, second.wish]);
    outbox.delete(first);
    expect(outbox.all).toEqual([second]);
    expect(outbox.find(second.id)).toEqual(second);
    expect(outbox.find(first.id)).toBeUndefined();
  });
});
