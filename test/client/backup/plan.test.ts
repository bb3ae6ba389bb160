// Planning a backup, by random histories against what must be true after every plan.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Held, type Plan, plan, type Wanted } from "../../../client/engine/backup/plan.ts";

const HOUR = 3_600_000;
const SOON = 2 * HOUR;
const MOST = 10_000;

let ids = 0;

/** The segments after a plan has been carried out. */
function carryOut(segments: readonly Held[], { drop, write }: Plan, rows: ReadonlyMap<string, Wanted>): Held[] {
  const version = Math.max(0, ...segments.map((segment) => segment.version)) + 1;
  const added = write.map(({ kind, lane, rows: keys }) => ({
    id: `s${ids++}`,
    version,
    kind,
    lane,
    rows: new Map(keys.map((key) => [key, { digest: rows.get(key)?.digest ?? "?" }])),
  }));
  return [...segments.filter(({ id }) => !drop.has(id)), ...added];
}

function assertKept(segments: readonly Held[], rows: ReadonlyMap<string, Wanted>, now: number): void {
  const newest = new Map<string, string>();
  for (const segment of segments.toSorted((a, b) => a.version - b.version)) {
    for (const [key, { digest }] of segment.rows) {
      const row = rows.get(key);
      if (row === undefined) throw new Error(`${key} is gone and still in ${segment.id}`);
      if (row.expiresAt !== null && (segment.lane === null || segment.lane > row.expiresAt)) {
        throw new Error(`${segment.id} outlives ${key}`);
      }
      newest.set(key, digest);
    }
    if (segment.lane !== null && segment.lane <= now) throw new Error(`${segment.id} is overdue`);
    const size = [...segment.rows.keys()].reduce((sum, key) => sum + (rows.get(key)?.size ?? 0), 0);
    if (size > MOST) throw new Error(`${segment.id} is too large`);
  }
  for (const [key, row] of rows) {
    if (row.expiresAt !== null && row.expiresAt - now < SOON) continue;
    if (newest.get(key) !== row.digest) throw new Error(`${key} is not kept as it is`);
  }
}

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("put" as const),
      key: fc.nat(40),
      size: fc.integer({ min: 1, max: 900 }),
      hours: fc.option(fc.integer({ min: 0, max: 24 * 28 })),
      hot: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("delete" as const), key: fc.nat(40) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("wait" as const), hours: fc.integer({ min: 1, max: 100 }) }) },
  { weight: 3, arbitrary: fc.constant({ kind: "keep" as const }) },
);

describe("plan", () => {
  test("Z1: after any history what is kept is what there is, nothing outlives its time, and there is nothing left to do", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 80 }), (steps) => {
        const rows = new Map<string, Wanted>();
        let segments: Held[] = [];
        let now = 1_000 * 24 * HOUR + 1_234;
        let digests = 0;
        for (const action of [...steps, { kind: "keep" as const }]) {
          if (action.kind === "put") {
            const expiresAt = action.hours === null ? null : now + action.hours * HOUR + 7;
            const hot = action.hot && expiresAt === null;
            rows.set(`k${action.key}`, { digest: `d${digests++}`, size: action.size, expiresAt, hot });
          } else if (action.kind === "delete") rows.delete(`k${action.key}`);
          else if (action.kind === "wait") now += action.hours * HOUR;
          else {
            for (const [key, { expiresAt }] of rows) if (expiresAt !== null && expiresAt <= now) rows.delete(key);
            segments = carryOut(segments, plan({ rows, segments, now, most: MOST }), rows);
            assertKept(segments, rows, now);
            const again = plan({ rows, segments, now, most: MOST });
            expect([again.drop.size, again.write.length]).toEqual([0, 0]);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  test("Z1: a message at a time makes few segments and rewrites each row a few times only", () => {
    const rows = new Map<string, Wanted>();
    let segments: Held[] = [];
    let written = 0;
    let most = 0;
    for (let n = 0; n < 1_000; n++) {
      rows.set(`m${n}`, { digest: `${n}`, size: 100, expiresAt: null, hot: false });
      const planned = plan({ rows, segments, now: 1, most: 1_000_000 });
      written += planned.write.reduce((sum, { rows: keys }) => sum + keys.length, 0);
      segments = carryOut(segments, planned, rows);
      most = Math.max(most, segments.length);
    }
    expect(most).toBeLessThanOrEqual(12);
    expect(written).toBeLessThan(1_000 * 12);
  });

  test("Z3: what expires within two hours is not worth keeping, and leaves early rather than late", () => {
    const now = 100 * 24 * HOUR + 5;
    const row = (hours: number): Wanted => ({ digest: "d", size: 1, expiresAt: now + hours * HOUR, hot: false });
    const rows = new Map([
      ["soon", row(1.9)],
      ["hours", row(50)],
      ["days", row(24 * 20)],
    ]);
    const { write } = plan({ rows, segments: [], now, most: MOST });
    const lanes = new Map(write.map(({ lane, rows: [key = ""] }) => [key, lane ?? 0]));
    expect([...lanes.keys()].sort()).toEqual(["days", "hours"]);
    const early = (key: string) => (rows.get(key)?.expiresAt ?? 0) - (lanes.get(key) ?? 0);
    expect(early("hours")).toBeGreaterThanOrEqual(0);
    expect(early("hours")).toBeLessThan(HOUR);
    expect(early("days")).toBeGreaterThanOrEqual(0);
    expect(early("days")).toBeLessThan(24 * HOUR);
  });
});
