import { expect, test } from "vitest";
import { draftDevice } from "../../client/engine/account.ts";
import { createIdentityKeys } from "../../client/engine/group/device-keys.ts";
import { Live } from "../../client/engine/live.ts";
import { People } from "../../client/engine/people.ts";
import { Safety } from "../../client/engine/safety.ts";
import type { MemberSummary } from "../../schemas/api.ts";
import { toBase64url } from "../../schemas/bytes.ts";
import { type MemberId, newId, type TenantId } from "../../schemas/ids.ts";
import { memoryStore } from "../support/memory-store.ts";

test("I5: a server that names another key than the known one is told of, and the number stays that of the known one", async () => {
  const store = memoryStore();
  const people = await People.load(store, new Live());
  const tenant = { id: newId<TenantId>(), name: "Mühle", residency: "eu" } as const;
  const member = { id: newId<MemberId>(), name: "Anna", role: "member" } as const;
  const { account } = await draftDevice({ tenant, member, identityKeys: await createIdentityKeys() }, "Test");
  const bert = newId<MemberId>();
  const named = (key: Uint8Array): MemberSummary => ({
    id: bert,
    name: "Bert",
    role: "member",
    identityKey: toBase64url(key),
    createdAt: 0,
    removedAt: null,
  });
  const safety = await Safety.load({ store, people, account: () => account, now: () => 5 });
  await people.refresh({ members: async () => [named(new Uint8Array(32).fill(1))] });
  await safety.note();
  const before = safety.of(bert);
  expect(before).toMatchObject({ since: 5, verifiedAt: null, contradicted: false });
  await people.refresh({ members: async () => [named(new Uint8Array(32).fill(2))] });
  await safety.note();
  expect(safety.of(bert)).toEqual({ ...before, contradicted: true });
});
