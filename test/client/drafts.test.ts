import { expect, test } from "vitest";
import { engineRows } from "../../client/engine/backup/engine-rows.ts";
import { Drafts } from "../../client/engine/drafts.ts";
import { type ConversationId, newId } from "../../schemas/ids.ts";
import { LIMITS } from "../../schemas/policy.ts";
import { memoryStore } from "../support/memory-store.ts";

test("G27: a draft is there again when the profile is next opened, until it is sent or emptied, and goes into no backup", async () => {
  const store = memoryStore();
  const [one, other] = [newId<ConversationId>(), newId<ConversationId>()];
  const drafts = await Drafts.load(store);
  expect(drafts.of(one)).toBe("");
  await drafts.keep(one, "halb ");
  await drafts.keep(one, "halb fertig");
  await drafts.keep(other, "x".repeat(LIMITS.textCharacters + 1));
  const again = await Drafts.load(store);
  expect(again.of(one)).toBe("halb fertig");
  expect(again.of(other)).toHaveLength(LIMITS.textCharacters);
  await again.keep(one, "");
  expect((await Drafts.load(store)).of(one)).toBe("");
  expect(await store.scan("meta", { prefix: "draft/" })).toHaveLength(1);
  expect(engineRows({ note: () => undefined }).tables).not.toContain("meta");
});
