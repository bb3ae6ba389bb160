import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type AnomalyKind, check, type Observation, type Row } from "../support/checker.ts";

const text = (seq: number, mid: string): Row => ({ seq, mid, digest: `#${mid}` });
const commit = (seq: number, ends: number): Row => ({ seq, mid: null, digest: null, commits: ends });
const invoke = (device: string, mid: string): Observation => ({ type: "invoke", device, mid, digest: `#${mid}` });
const ok = (device: string, mid: string, seq: number): Observation => ({ type: "ok", device, mid, seq });
const recv = (device: string, seq: number, mid: string): Observation => ({
  type: "recv",
  device,
  seq,
  mid,
  digest: `#${mid}`,
});
const fail = (device: string, mid: string): Observation => ({ type: "fail", device, mid, code: "quota" });

const LOG = [text(1, "a1"), commit(2, 0), text(3, "b1"), text(4, "a2"), commit(5, 1)];
const GOOD: Observation[] = [
  invoke("a", "a1"),
  ok("a", "a1", 1),
  recv("b", 1, "a1"),
  invoke("b", "b1"),
  invoke("a", "a2"),
  recv("a", 3, "b1"),
  ok("a", "a2", 4),
  ok("b", "b1", 3),
  recv("b", 3, "b1"),
  recv("b", 4, "a2"),
  invoke("a", "a3"),
  fail("a", "a3"),
];

function kinds(history: Observation[], log: Row[] = LOG): AnomalyKind[] {
  return [...new Set(check(history, log).map(({ kind }) => kind))];
}

describe("the checker finds each class of anomaly", () => {
  test("T3: a good history has none", () => {
    expect(check(GOOD, LOG)).toEqual([]);
  });

  test("T4: lost: acknowledged and not in the log", () => {
    const log = LOG.map((row) => (row.mid === "a2" ? commit(4, 1) : row)).with(4, commit(5, 2));
    expect(kinds(GOOD, log)).toContain("lost");
    expect(kinds([invoke("a", "x"), ok("a", "x", 6)], LOG)).toEqual(["lost"]);
  });

  test("T5: phantom: received or stored although it may not be", () => {
    expect(kinds([...GOOD, recv("b", 6, "x")])).toEqual(["phantom"]);
    expect(kinds([...GOOD, fail("a", "a3")], [...LOG, text(6, "a3")])).toEqual(["phantom"]);
  });

  test("T6: duplicate: stored twice, received twice", () => {
    expect(kinds(GOOD, [...LOG, text(6, "b1")])).toContain("duplicate");
    expect(kinds([...GOOD, recv("b", 4, "a2")])).toContain("duplicate");
  });

  test("T7: inconsistent: one place, two messages, or content that changed", () => {
    expect(kinds([...GOOD, recv("c", 3, "a2")])).toContain("inconsistent");
    expect(kinds([...GOOD, { type: "recv", device: "c", seq: 3, mid: "b1", digest: "#else" }])).toEqual([
      "inconsistent",
    ]);
    expect(kinds(GOOD, LOG.with(0, { seq: 1, mid: "a1", digest: "#else" }))).toEqual(["inconsistent"]);
  });

  test("T8: hole: a seq is missing", () => {
    expect(kinds(GOOD, [...LOG, text(7, "z")])).toEqual(["hole"]);
    expect(kinds([], LOG.slice(1))).toEqual(["hole"]);
  });

  test("T9: skip: left out or gone back, unless the device says so", () => {
    expect(kinds([...GOOD, recv("c", 1, "a1"), recv("c", 4, "a2")])).toEqual(["skip"]);
    expect(kinds([...GOOD, recv("c", 3, "b1"), recv("c", 1, "a1")])).toContain("skip");
    expect(kinds([...GOOD, recv("c", 1, "a1"), { type: "sync", device: "c", to: 3 }, recv("c", 4, "a2")])).toEqual([]);
  });

  test("T10: disagreement: two devices, two orders", () => {
    const history = [recv("c", 1, "a1"), recv("c", 3, "b1"), recv("d", 3, "b1"), recv("d", 1, "a1")];
    expect(kinds(history)).toContain("disagreement");
  });

  test("T11: real time: sent after an acknowledgement, stored before it", () => {
    expect(kinds([invoke("a", "a2"), ok("a", "a2", 4), invoke("b", "b1"), ok("b", "b1", 3)])).toEqual(["real_time"]);
  });

  test("T12: session: a device's own order is turned round", () => {
    expect(kinds([invoke("a", "a2"), invoke("a", "a1"), ok("a", "a1", 1), ok("a", "a2", 4)])).toEqual(["session"]);
  });

  test("T13: unresolved: no end, or two", () => {
    expect(kinds([...GOOD, invoke("a", "a9")])).toEqual(["unresolved"]);
    expect(kinds([...GOOD, fail("a", "a2")])).toContain("unresolved");
  });

  test("T14: membership: receives or sends after removal", () => {
    const removed: Observation = { type: "removed", device: "b", seq: 3 };
    expect(kinds([recv("b", 1, "a1"), removed, recv("b", 3, "b1")])).toEqual([]);
    expect(kinds([recv("b", 3, "b1"), removed, recv("b", 4, "a2")])).toEqual(["membership"]);
    expect(kinds([removed, invoke("b", "b1"), ok("b", "b1", 3)])).toEqual(["membership"]);
  });

  test("T22: absent: what a device that is in never received; before it came in and after it was out nothing is its own", () => {
    const joined: Observation = { type: "joined", device: "b", seq: 2 };
    const removed: Observation = { type: "removed", device: "b", seq: 3 };
    const back: Observation = { type: "joined", device: "b", seq: 3 };
    expect(kinds([joined, recv("b", 3, "b1"), recv("b", 4, "a2")])).toEqual([]);
    expect(kinds([joined, recv("b", 3, "b1")])).toEqual(["absent"]);
    expect(kinds([joined, recv("b", 4, "a2")])).toEqual(["skip", "absent"]);
    expect(kinds([joined, removed])).toEqual([]);
    expect(kinds([joined, recv("b", 1, "a1"), removed])).toContain("membership");
    expect(kinds([joined, removed, back, recv("b", 4, "a2")])).toEqual([]);
    expect(kinds([joined, removed, back])).toEqual(["absent"]);
    expect(kinds([joined, removed, back, recv("b", 3, "b1"), recv("b", 4, "a2")])).toContain("membership");
  });

  test("T15: epoch: two commits of one epoch, or one left out", () => {
    expect(kinds([], LOG.with(4, commit(5, 0)))).toEqual(["epoch"]);
    expect(kinds([], LOG.with(4, commit(5, 2)))).toEqual(["epoch"]);
  });
});

describe("the checker over random good histories", () => {
  const sends = fc.array(fc.constantFrom("a", "b", "c"), { minLength: 3, maxLength: 40 });

  function build(senders: string[]): { history: Observation[]; log: Row[] } {
    const log = senders.map((sender, index) => text(index + 1, `${sender}${index}`));
    const history = log.flatMap(({ seq, mid }, index) => {
      const sender = senders[index] ?? "";
      const others = ["a", "b", "c"].filter((device) => device !== sender);
      return [
        invoke(sender, mid ?? ""),
        ok(sender, mid ?? "", seq),
        ...others.map((device) => recv(device, seq, mid ?? "")),
      ];
    });
    // Each device also reads its own messages, as a timeline shows them
    const own = history.flatMap((one) => (one.type === "ok" ? [one, recv(one.device, one.seq, one.mid)] : [one]));
    return { history: own, log };
  }

  test("T3: none of them is accused", () => {
    fc.assert(fc.property(sends, (senders) => check(build(senders).history, build(senders).log).length === 0));
  });

  test("T16: a row taken from the log, a delivery taken away or repeated, two neighbours swapped: always noticed", () => {
    fc.assert(
      fc.property(sends, fc.nat(), (senders, pick) => {
        const { history, log } = build(senders);
        const at = 1 + (pick % (log.length - 2));
        expect(check(history, log.toSpliced(at, 1))).not.toEqual([]);
        const delivery = history.findIndex((one) => one.type === "recv" && one.seq === at + 1);
        expect(check(history.toSpliced(delivery, 1), log)).not.toEqual([]);
        expect(check(history.toSpliced(delivery, 0, history[delivery] as Observation), log)).not.toEqual([]);
        const [one, two] = [log[at] as Row, log[at + 1] as Row];
        const swapped = log.with(at, { ...two, seq: one.seq }).with(at + 1, { ...one, seq: two.seq });
        expect(check(history, swapped)).not.toEqual([]);
      }),
    );
  });
});
