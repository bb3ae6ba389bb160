import { expect, test } from "vitest";
import type { Api } from "../../client/engine/api.ts";
import { Live } from "../../client/engine/live.ts";
import { People } from "../../client/engine/people.ts";
import { Batch } from "../../client/engine/records.ts";
import { randomBytes } from "../../schemas/bytes.ts";
import { type MemberId, newId } from "../../schemas/ids.ts";
import { Refusal } from "../../schemas/refusal.ts";
import { memoryStore } from "../support/memory-store.ts";

const nobody: Pick<Api, "members"> = { members: async () => [] };

test("J4: a key that was taken when a write failed is in the next one, and in none after that", async () => {
  const real = memoryStore();
  let fails = true;
  const store = {
    ...real,
    scan: real.scan.bind(real),
    write: async (...all: Parameters<typeof real.write>) => {
      if (fails) throw new Refusal("unavailable");
      await real.write(...all);
    },
  };
  const people = await People.load(store, new Live());
  const [member, key] = [newId<MemberId>(), randomBytes(32)];
  people.pin(member, key);
  await expect(people.refresh(nobody)).rejects.toMatchObject({ code: "unavailable" });
  fails = false;
  await people.refresh(nobody);
  expect((await People.load(real, new Live())).key(member)).toEqual(key);
  const later = new Batch();
  people.save(later);
  expect(later.empty).toBe(true);
});

test("J4: a key that changes while the one before is being written is not taken for written", async () => {
  const people = await People.load(memoryStore(), new Live());
  const [member, key] = [newId<MemberId>(), randomBytes(32)];
  people.pin(member, randomBytes(32));
  const written = people.save(new Batch());
  people.pin(member, key);
  written();
  const next = new Batch();
  people.save(next);
  expect(next.writes).toHaveLength(1);
});
