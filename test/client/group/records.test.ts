// What a group stores: how little per message, how nothing used is kept, how it all comes back.

import { deriveTreeSecret } from "ts-mls/crypto/kdf.js";
import { deriveKey, deriveNonce } from "ts-mls/secretTree.js";
import { describe, expect, test } from "vitest";
import { confirmPending } from "../../../client/engine/group/commit.ts";
import { createGroup, epochAuthenticator, facts, loadGroup, roster, seal } from "../../../client/engine/group/group.ts";
import { MAX_GENERATION, OUT_OF_ORDER, PAST_EPOCHS, UPDATE_AFTER } from "../../../client/engine/group/limits.ts";
import { suite } from "../../../client/engine/group/provider.ts";
import type { Context, Group, Step } from "../../../client/engine/group/state.ts";
import { toHex, utf8 } from "../../../schemas/bytes.ts";
import {
  addition,
  commitOf,
  conversationId,
  createContext,
  crowd,
  joinOf,
  keyPackageOf,
  NOW,
  openNow,
  Rows,
  snapshot,
} from "./people.ts";

/** Rows of a device that just entered `group`: what its first step writes. */
function rowsOf(step: Step): Rows {
  const rows = new Rows();
  rows.apply(step.writes);
  return rows;
}

/** All rows as one text, to look for secrets in. */
function textOf(rows: Rows): string {
  return rows
    .list()
    .map(({ value }) => toHex(value))
    .join("\n");
}

async function pair(): Promise<{ a: Group; context: Context; rows: Rows; b: Group }> {
  const [first, context] = await crowd(2);
  const conversation = conversationId();
  const { group } = await createGroup({ context: first, conversation, generation: 0, now: NOW });
  const keyPackage = await keyPackageOf(context.me);
  const made = await commitOf(group, { add: [addition(context.me, keyPackage)] });
  const welcome = made.bundle.welcome?.bytes ?? new Uint8Array();
  const joined = await joinOf({ welcome, keyPackage: keyPackage.privateRecord, context, conversation });
  return { a: confirmPending(made.group).group, context, rows: rowsOf(joined), b: joined.group };
}

describe("E4: a message rewrites one small record, whatever the size of the group", () => {
  test("E4: bytes per message at 10, 100 and 500 devices", async () => {
    const sizes: number[] = [];
    for (const count of [10, 100, 500]) {
      const [founder, context] = await crowd(2);
      const rest = await Promise.all(Array.from({ length: count - 2 }, () => createContext()));
      const keyPackages = await Promise.all([context, ...rest].map(({ me }) => keyPackageOf(me)));
      const add = [context, ...rest].flatMap(({ me }, at) => {
        const keyPackage = keyPackages[at];
        return keyPackage === undefined ? [] : [addition(me, keyPackage)];
      });
      const conversation = conversationId();
      const { group } = await createGroup({ context: founder, conversation, generation: 0, now: NOW });
      const made = await commitOf(group, { add });
      const confirmed = confirmPending(made.group);
      const welcome = made.bundle.welcome?.bytes ?? new Uint8Array();
      const keyPackage = keyPackages[0]?.privateRecord ?? new Uint8Array();
      const joined = await joinOf({ welcome, keyPackage, context, conversation });
      expect(roster(joined.group)).toHaveLength(count);

      const sealed = await seal(confirmed.group, utf8("x"));
      const opened = await openNow(joined.group, sealed.bytes);
      expect([sealed.writes.length, opened.writes.length]).toEqual([1, 1]);
      const stored = rowsOf(joined);
      const before = new Map(stored.list().map(({ key, value }) => [key, toHex(value)]));
      stored.apply(opened.writes);
      const changed = stored.list().filter(({ key, value }) => before.get(key) !== toHex(value));
      expect(changed.map(({ key }) => key)).toEqual(["ratchets.1.0"]);
      expect(snapshot(stored.load(context))).toBe(snapshot(opened.group));
      sizes.push(stored.last.bytes);
      console.log(
        `E4: ${count} devices: ${stored.last.bytes} bytes per message, ${rowsOf(joined).last.bytes} per epoch`,
      );
    }
    expect(new Set(sizes).size).toBe(1);
    expect(sizes[0]).toBeLessThan(512);
  }, 30_000);

  test("E4: the record stays small when messages of the whole window were overtaken", async () => {
    const { a, b } = await pair();
    let sender = a;
    let last = new Uint8Array();
    for (let count = 0; count <= OUT_OF_ORDER; count++) {
      const sealed = await seal(sender, utf8(`${count}`));
      [sender, last] = [sealed.group, sealed.bytes.slice()];
    }
    const opened = await openNow(b, last);
    expect(opened.outcome.kind).toBe("message");
    expect(opened.writes[0]?.value?.length).toBeLessThan(2048);
  });

  test("E4: a group comes back from its rows as it was, in every state", async () => {
    const { a, b, context, rows } = await pair();
    const back = () => snapshot(rows.load(context));
    expect(back()).toBe(snapshot(b));
    const made = await commitOf(b);
    rows.apply(made.writes);
    expect(back()).toBe(snapshot(made.group));
    const update = await commitOf(a);
    const followed = await openNow(rows.load(context), update.bundle.commit);
    rows.apply(followed.writes);
    expect(back()).toBe(snapshot(followed.group));
    expect(epochAuthenticator(rows.load(context))).toEqual(epochAuthenticator(confirmPending(update.group).group));
    expect(loadGroup([], context)).toBeUndefined();
  });

  test("E4: rows that are damaged or missing are an error, not a group", async () => {
    const { context, rows } = await pair();
    const records = rows.list();
    for (const { key } of records) {
      expect(() =>
        loadGroup(
          records.map((row) => (row.key === key ? { key, value: utf8("?") } : row)),
          context,
        ),
      ).toThrow();
    }
    const without = (key: string) => records.filter((row) => row.key !== key);
    expect(() => loadGroup(without("tree.1"), context)).toThrow();
    expect(loadGroup(without("head"), context)).toBeUndefined();
  });
});

describe("E5: what has been used is in no record", () => {
  test("E5: every secret that sealing and opening used up is gone, and the message cannot be opened again", async () => {
    const { a, b, context, rows } = await pair();
    const mine = new Rows();
    let [sender, receiver] = [a, b];
    for (let count = 0; count < 3; count++) {
      const sealed = await seal(sender, utf8(`${count}`));
      mine.apply(sealed.writes);
      const opened = await openNow(receiver, sealed.bytes);
      rows.apply(opened.writes);
      expect(opened.spent.length).toBeGreaterThanOrEqual(2);
      for (const secret of sealed.spent) expect(textOf(mine)).not.toContain(toHex(secret));
      for (const secret of opened.spent) expect(textOf(rows)).not.toContain(toHex(secret));
      const again = await openNow(rows.load(context), sealed.bytes);
      expect(again.outcome).toEqual({ kind: "skipped", reason: "replayed" });
      [sender, receiver] = [sealed.group, opened.group];
    }
  });

  test("E5: also after a gap: only the keys of the missing messages are kept, no secret that leads to others", async () => {
    const { a, b, context, rows } = await pair();
    const cs = await suite();
    const start = a.live?.ratchets[0]?.application.secret.slice();
    if (start === undefined) throw new Error("no ratchet");
    const chain: Uint8Array[] = [start];
    for (let at = 0; at < 4; at++) chain.push(await deriveTreeSecret(chain[at] ?? start, "secret", at, 32, cs.kdf));
    const keys = await Promise.all(chain.map((secret, at) => deriveKey(secret, at, cs)));
    const sent: Uint8Array[] = [];
    let sender = a;
    for (let count = 0; count < 4; count++) {
      const sealed = await seal(sender, utf8(`${count}`));
      sent.push(sealed.bytes);
      sender = sealed.group;
    }
    expect(textOf(rows)).toContain(toHex(start));
    const opened = await openNow(b, sent[3] ?? new Uint8Array());
    rows.apply(opened.writes);
    const kept = textOf(rows);
    expect(chain.map((secret) => kept.includes(toHex(secret)))).toEqual([false, false, false, false, true]);
    expect(keys.map((key) => kept.includes(toHex(key)))).toEqual([true, true, true, false, false]);
    expect(kept).toContain(toHex(await deriveNonce(start, 0, cs)));
    const late = await openNow(rows.load(context), sent[1] ?? new Uint8Array());
    rows.apply(late.writes);
    expect(late.outcome).toMatchObject({ kind: "message", plaintext: utf8("1") });
    expect(textOf(rows)).not.toContain(toHex(keys[1] ?? start));
  });

  test("E5: of an epoch that has fallen out there is nothing left, of a past one only what opens its messages", async () => {
    const { a, b, context, rows } = await pair();
    const first = b.live;
    if (first === null) throw new Error("not in the group");
    const ratchets = first.ratchets.map(({ application }) => application.secret).filter(Boolean);
    const opening = [first.senderDataSecret, ...ratchets].map((secret) => toHex(secret));
    const { senderDataSecret: _, ...onlyLive } = first.keySchedule;
    let sender = a;
    for (let epoch = 0; epoch <= PAST_EPOCHS; epoch++) {
      const made = await commitOf(sender);
      rows.apply((await openNow(rows.load(context), made.bundle.commit)).writes);
      sender = confirmPending(made.group).group;
      const kept = textOf(rows);
      for (const [name, secret] of Object.entries(onlyLive)) expect(kept, name).not.toContain(toHex(secret));
      for (const secret of opening) expect(kept.includes(secret)).toBe(epoch < PAST_EPOCHS);
    }
    const keys = rows.list().map(({ key }) => key);
    expect(keys.filter((key) => key.includes(".1")).sort()).toEqual([]);
    expect(keys).toHaveLength(1 + 2 + 2 * 3); // head; tree and ratchets; past, tree and ratchets twice
  });

  test("E5: the device's signature key is in no record", async () => {
    const { b, context, rows } = await pair();
    rows.apply((await commitOf(b)).writes);
    expect(textOf(rows)).toContain(toHex(context.me.signatureKey.publicKey));
    expect(textOf(rows)).not.toContain(toHex(context.me.signatureKey.privateKey));
  });
});

describe("E7: a message is opened once, ahead of others or late, within fixed bounds", () => {
  test("E7: the key of an overtaken message is kept for so many, not for one more", async () => {
    const { a, b } = await pair();
    const sent: Uint8Array[] = [];
    let sender = a;
    for (let count = 0; count <= OUT_OF_ORDER + 1; count++) {
      const sealed = await seal(sender, utf8(`${count}`));
      sent.push(sealed.bytes);
      sender = sealed.group;
    }
    const { group } = await openNow(b, sent[OUT_OF_ORDER + 1] ?? new Uint8Array());
    expect((await openNow(group, sent[0] ?? new Uint8Array())).outcome).toEqual({
      kind: "skipped",
      reason: "replayed",
    });
    expect((await openNow(group, sent[1] ?? new Uint8Array())).outcome).toMatchObject({
      kind: "message",
      plaintext: utf8("1"),
    });
  });

  test("E7: the last message a device may seal in an epoch can be opened by who saw none before; then an update is due", async () => {
    const { a, b } = await pair();
    expect(facts(at(a, UPDATE_AFTER - 1))?.updateDue).toBe(false);
    expect(facts(at(a, UPDATE_AFTER))?.updateDue).toBe(true);
    const cs = await suite();
    let secret = a.live?.ratchets[0]?.application.secret ?? new Uint8Array();
    for (let generation = 0; generation < MAX_GENERATION - 1; generation++) {
      secret = await deriveTreeSecret(secret, "secret", generation, 32, cs.kdf);
    }
    const last = await seal(at(a, MAX_GENERATION - 1, secret), utf8("last"));
    const started = performance.now();
    expect((await openNow(b, last.bytes)).outcome).toMatchObject({ kind: "message", plaintext: utf8("last") });
    expect(performance.now() - started).toBeLessThan(2000);
    await expect(seal(last.group, utf8("one more"))).rejects.toThrow(RangeError);
    const beyond = await seal(at(a, MAX_GENERATION, secret, -1), utf8("hostile"));
    expect((await openNow(b, beyond.bytes)).outcome).toEqual({ kind: "unreadable", reason: "too_far_ahead" });
  });
});

/** A group whose own ratchet claims another generation; `offset` hides that from the check in `seal`. */
function at(group: Group, generation: number, secret?: Uint8Array, offset = 0): Group {
  const { live } = group;
  const slot = live?.ratchets[0];
  if (live === null || live === undefined || slot === undefined) throw new Error("no ratchet");
  const ratchets = live.ratchets.slice();
  const application = { ...slot.application, secret: secret ?? slot.application.secret, generation };
  let reads = 0;
  Object.defineProperty(application, "generation", {
    get: () => generation + (reads++ === 0 ? offset : 0),
    enumerable: true,
  });
  ratchets[0] = { ...slot, application };
  return { ...group, live: { ...live, ratchets } };
}
