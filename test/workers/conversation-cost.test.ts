// What a message costs in the object's SQLite, counted by the platform's own measure, and that a sweep finds what is due without looking
// through everything.

import { runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { randomBytes } from "../../schemas/bytes.ts";
import { Log } from "../../workers/conversation/log.ts";
import { device, type Peer, Room } from "./support/room.ts";

const HOUR = 3_600_000;

interface Cost {
  read: number;
  written: number;
}

/** All that the objects of this isolate read and write while `work` is done, in rows. */
async function costOf(room: Room, work: () => Promise<unknown>): Promise<Cost> {
  const cursors: SqlStorageCursor<Record<string, SqlStorageValue>>[] = [];
  const prototype = await runInDurableObject(room.stub, (_, { storage }) => Object.getPrototypeOf(storage.sql));
  const { exec } = prototype;
  prototype.exec = function (...args: unknown[]) {
    const cursor = exec.apply(this, args);
    cursors.push(cursor);
    return cursor;
  };
  try {
    await work();
  } finally {
    prototype.exec = exec;
  }
  return cursors.reduce(
    (sum, { rowsRead, rowsWritten }) => ({ read: sum.read + rowsRead, written: sum.written + rowsWritten }),
    { read: 0, written: 0 },
  );
}

/** A conversation of two who are both connected, after the first message has settled everything. */
async function talking(): Promise<{ room: Room; first: Peer }> {
  const other = device();
  const { room, first } = await Room.full(other);
  await room.enter(other, 1);
  await first.send(1, "warm", { expiresIn: HOUR });
  return { room, first };
}

/** A log of its own in an object's storage, and what it is asked to do there. */
function inLog<Result>(room: Room, work: (log: Log, sql: SqlStorage) => Result): Promise<Result> {
  return runInDurableObject(room.stub, (_, { storage }) => work(new Log(storage.sql), storage.sql));
}

const draft = (expiresAt: number | null, acceptedAt = 1) => ({
  id: randomBytes(16),
  bytes: randomBytes(300),
  acceptedAt,
  expiresAt,
});

describe("a message", () => {
  test.each([
    ["without a timer", {}],
    ["with a timer", { expiresIn: HOUR }],
  ])("X42: %s is one row and one index row, with all that the object does for it", async (_, timer) => {
    const { room, first } = await talking();
    for (let n = 0; n < 5; n++) {
      const { written } = await costOf(room, () => first.send(1, `message ${n}`, timer));
      expect(written).toBe(2);
    }
  });

  test("X42: over a whole log timers cost two rows for each 128 messages", async () => {
    const room = await Room.found();
    const { written } = await costOf(room, () =>
      inLog(room, (log) => {
        for (let n = 0; n < 1_280; n++) log.append(draft(HOUR + n));
      }),
    );
    expect(written).toBeLessThanOrEqual(2 * 1_280 + 2 * 11);
  });

  test("X42: timers in any order cost a row more only when one is the earliest of its block", async () => {
    const room = await Room.found();
    const { written } = await costOf(room, () =>
      inLog(room, (log) => {
        for (let n = 0; n < 1_280; n++) log.append(draft(HOUR + ((n * 7_919) % 10_007) * 1_000));
      }),
    );
    expect(written).toBeLessThan(2 * 1_280 * 1.1);
  });
});

describe("a sweep", () => {
  test("X43: finds what is due in a large log by looking into its block alone", async () => {
    const room = await Room.found();
    await inLog(room, (log) => {
      for (let n = 0; n < 3_000; n++) log.append(draft(n === 1_700 ? 50 : n % 3 === 0 ? null : HOUR));
    });
    const { read } = await costOf(room, () =>
      inLog(room, (log) => {
        expect(log.nextExpiry()).toBe(50);
        log.expire(49, 500);
        expect(log.nextExpiry()).toBe(50);
        log.expire(50, 500);
        expect(log.nextExpiry()).toBe(HOUR);
      }),
    );
    expect(read).toBeLessThan(600);
    const [row] = await inLog(room, (_, sql) => sql.exec("SELECT seq FROM log WHERE bytes IS NULL").toArray());
    expect(row?.seq).toBe(1_701);
  });

  test("X43: what is due in many blocks goes in turns of bounded work, all of it", async () => {
    const room = await Room.found();
    await inLog(room, (log) => {
      for (let n = 0; n < 6_400; n++) log.append(draft(n % 128 === 0 ? 50 : HOUR));
    });
    const left = (log: Log, sql: SqlStorage): number => {
      log.expire(50, 500);
      return sql.exec<{ n: number }>("SELECT count(*) AS n FROM log WHERE expires_at = 50 AND bytes IS NOT NULL").one()
        .n;
    };
    expect(await inLog(room, left)).toBe(10);
    expect(await inLog(room, left)).toBe(0);
    expect(await inLog(room, (log) => log.nextExpiry())).toBe(HOUR);
  });

  test("X43: an expiry that was forgotten or cut short by retention asks for nothing any more", async () => {
    const room = await Room.found();
    await inLog(room, (log) => {
      for (let n = 0; n < 300; n++) log.append(draft(100 + n));
      log.forget(200, 500);
      expect(log.nextExpiry()).toBe(300);
      log.retain(1, 50);
      expect(log.nextExpiry()).toBe(350);
      log.retain(1, 500);
      expect(log.nextExpiry()).toBeNull();
      log.append(draft(7));
      expect(log.nextExpiry()).toBe(7);
      log.forget(301, 500);
      expect(log.nextExpiry()).toBeNull();
    });
  });

  test("X43: a transaction that is rolled back leaves no timer behind", async () => {
    const room = await Room.found();
    await runInDurableObject(room.stub, (_, { storage }) => {
      const log = new Log(storage.sql);
      const fail = () =>
        storage.transactionSync(() => {
          log.append(draft(9));
          throw new RangeError("cut off");
        });
      expect(fail).toThrow(RangeError);
      log.reload();
      expect(log.nextExpiry()).toBeNull();
      log.append(draft(20));
      expect(log.nextExpiry()).toBe(20);
    });
  });
});
