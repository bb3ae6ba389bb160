// Replaying a key log from nothing: every entry is judged, and whatever nothing honest makes is named.

import { expect, test } from "vitest";
import { auditKeys } from "../../client/engine/key-audit.ts";
import { randomBytes, toHex } from "../../schemas/bytes.ts";
import { type DeviceId, type MemberId, newId, type TenantId } from "../../schemas/ids.ts";
import type { KeyEvent } from "../../schemas/key-event.ts";
import { Log, newMember as newMemberOf, serverOf } from "../support/fake-key-log.ts";

const tenant = newId<TenantId>();
const newMember = () => newMemberOf(tenant);
const audit = (log: Log, own = log.head()) => auditKeys({ ...serverOf(log).door, tenant, own });

test("J13: an honest log is replayed whole, in pages, entry by entry, also with changed keys and people who are gone", async () => {
  const [anna, bert] = [await newMember(), await newMember()];
  const log = new Log().add(...anna.events, ...bert.events);
  log.add({ type: "revoked", member: bert.member, device: bert.device });
  log.add({ type: "member", member: bert.member, identityKey: randomBytes(32) });
  log.add({ type: "removed", member: anna.member });
  log.page = 2;
  for (let size = 0; size <= 7; size++) expect((await audit(log, log.head(size))).problems).toEqual([]);
  const { events, size, root } = await audit(log);
  expect([size, root]).toEqual([7, toHex(log.head().root)]);
  expect(events.map(({ index, kind, member, device, problem }) => [index, kind, member, device, problem])).toEqual([
    [0, "member", anna.member, null, null],
    [1, "device", anna.member, anna.device, null],
    [2, "member", bert.member, null, null],
    [3, "device", bert.member, bert.device, null],
    [4, "revoked", bert.member, bert.device, null],
    [5, "rekeyed", bert.member, null, null],
    [6, "removed", anna.member, null, null],
  ]);
});

test("J13: a log with another past, too few entries, or entries that are not its head's is told", async () => {
  const [anna, bert, carl] = [await newMember(), await newMember(), await newMember()];
  const log = new Log().add(...anna.events, ...bert.events);
  expect(
    (
      await audit(
        log,
        log
          .copy(2)
          .add(...carl.events)
          .head(),
      )
    ).problems,
  ).toEqual(["forked"]);
  expect(
    (
      await audit(
        log,
        log
          .copy()
          .add(...carl.events)
          .head(),
      )
    ).problems,
  ).toEqual(["rolled_back"]);
  log.claimed = 9;
  expect((await audit(log)).problems).toEqual(["incomplete"]);
  log.claimed = 3;
  expect((await audit(log, log.head(2))).problems).toEqual(["wrong_head"]);
});

test("J13: entries that nothing honest makes are named one by one", async () => {
  const [anna, bert, carl] = [await newMember(), await newMember(), await newMember()];
  const log = new Log().add(...anna.events, ...bert.events);
  const ghost = newId<DeviceId>();
  const bad: [KeyEvent, string][] = [
    [await anna.deviceEvent(ghost, carl.identity), "uncertified"],
    [await anna.deviceEvent(anna.device), "twice"],
    [anna.memberEvent, "twice"],
    [await carl.deviceEvent(), "uncertified"],
    [{ type: "revoked", member: bert.member, device: anna.device }, "nobody"],
    [{ type: "removed", member: newId<MemberId>() }, "nobody"],
    [{ type: "other" } as unknown as KeyEvent, "unreadable"],
  ];
  log.add(...bad.map(([event]) => event));
  const { events, problems } = await audit(log);
  expect(events.slice(4).map(({ problem }) => problem)).toEqual(bad.map(([, problem]) => problem));
  expect(events.slice(0, 4).every(({ problem }) => problem === null)).toBe(true);
  expect(problems).toEqual(["bad_leaf"]);
});
