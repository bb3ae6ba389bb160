// Random lives of a conversation against the real object: whatever its devices send, resend, commit, confirm and miss, and however often
// the object is evicted, cut off or swept, every device ends up with the same proven log.

import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import fc from "fast-check";
import { afterEach, expect, test, vi } from "vitest";
import { randomBytes, toHex } from "../../schemas/bytes.ts";
import { readHeader } from "../../schemas/envelope.ts";
import type { CommitFrame, SendFrame } from "../../schemas/frames.ts";
import { Follower } from "./support/follower.ts";
import { privateMessage } from "./support/mls-bytes.ts";
import { device, Room } from "./support/room.ts";

const DEVICES = 3;
const who = fc.nat(DEVICES - 1);
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant("send" as const), who, expires: fc.boolean(), size: fc.nat(2_000) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("resend" as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("alter" as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("commit" as const), who }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("race" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reconnect" as const), who }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("confirm" as const), who }) },
  { weight: 1, arbitrary: fc.constant({ kind: "hibernate" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "cut" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "sweep" as const }) },
);
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

/** One send or commit that was ever asked for. */
interface Asked {
  readonly by: Follower;
  readonly frame: SendFrame | CommitFrame;
}

/** One life: the room, its devices, and everything that was ever asked. */
class Life {
  readonly room: Room;
  readonly followers: readonly Follower[];
  readonly asked: Asked[] = [];
  readonly altered = new Set<string>();
  #offset = 0;

  private constructor(room: Room, followers: readonly Follower[]) {
    this.room = room;
    this.followers = followers;
  }

  static async begin(): Promise<Life> {
    const others = Array.from({ length: DEVICES - 1 }, () => device());
    const { room } = await Room.full(...others);
    const followers = [room.founder, ...others].map((one) => new Follower(room, one));
    for (const follower of followers) await follower.connect();
    const life = new Life(room, followers);
    await life.#settle();
    return life;
  }

  async take(step: Step): Promise<void> {
    switch (step.kind) {
      case "send":
        return this.#send(this.#follower(step.who), step.size, step.expires);
      case "resend":
        return this.#resend(step.which);
      case "alter":
        return this.#alter(step.which);
      case "commit":
        return this.#commit(this.#follower(step.who));
      case "race":
        for (const follower of this.followers) this.#commit(follower);
        return;
      case "reconnect":
        return this.#follower(step.who).connect();
      case "confirm":
        return this.#follower(step.who).confirm();
      case "hibernate":
        await this.#settle();
        return this.#evict("hibernate");
      case "cut":
        await this.#evict("close");
        for (const follower of this.followers) await follower.connect();
        return;
      case "sweep":
        return this.#sweep();
    }
  }

  /** Everybody has answers to everything and has taken in the same. */
  async finish(): Promise<void> {
    for (const follower of this.followers) await follower.connect();
    await this.#settle();
  }

  async #settle(): Promise<void> {
    await vi.waitFor(
      () => {
        expect(this.followers.map(({ fault }) => fault)).toEqual(this.followers.map(() => undefined));
        expect(this.followers.every(({ answered }) => answered)).toBe(true);
        expect(new Set(this.followers.map(({ cursor }) => cursor)).size).toBe(1);
        expect(this.followers[0]?.cursor).toBeGreaterThan(0);
      },
      { timeout: 10_000, interval: 5 },
    );
  }

  /** An object that sleeps already cannot be evicted, so it is woken first. */
  async #evict(webSockets: "hibernate" | "close"): Promise<void> {
    await runInDurableObject(this.room.stub, () => {});
    await evictDurableObject(this.room.stub, { webSockets });
  }

  async #sweep(): Promise<void> {
    this.#offset += 10_001;
    const offset = this.#offset;
    vi.restoreAllMocks();
    const now = Date.now.bind(Date);
    vi.spyOn(Date, "now").mockImplementation(() => now() + offset);
    await runDurableObjectAlarm(this.room.stub);
  }

  #follower(index: number): Follower {
    const follower = this.followers[index];
    if (follower === undefined) throw new Error("no such device");
    return follower;
  }

  #epoch(): number {
    const accepted = this.asked.filter(
      ({ by, frame }) => frame.type === "commit" && typeof by.outcomes.get(toHex(frame.id)) === "number",
    );
    return accepted.length + 1;
  }

  #ask(by: Follower, frame: Asked["frame"]): void {
    this.asked.push({ by, frame });
    by.ask(frame);
  }

  #send(by: Follower, size: number, expires: boolean): void {
    const bytes = privateMessage({ conversation: this.room.conversation, epoch: this.#epoch() }, randomBytes(size));
    this.#ask(by, { type: "send", id: randomBytes(16), bytes, ...(expires && { expiresIn: 10_000 }) });
  }

  #commit(by: Follower): void {
    this.#ask(by, by.peer.commitFrame({ epoch: this.#epoch(), sender: this.followers.indexOf(by) }));
  }

  /** An honest device resends only what it has not confirmed itself. */
  #resend(which: number): void {
    const asked = this.asked[which % Math.max(this.asked.length, 1)];
    const outcome = asked?.by.outcomes.get(toHex(asked.frame.id));
    if (asked === undefined || (typeof outcome === "number" && outcome <= asked.by.confirmed)) return;
    asked.by.peer.socket.say(asked.frame);
  }

  #alter(which: number): void {
    const asked = this.asked[which % Math.max(this.asked.length, 1)];
    const outcome = asked?.by.outcomes.get(toHex(asked.frame.id));
    if (asked?.frame.type !== "send" || typeof outcome !== "number" || outcome <= asked.by.confirmed) return;
    const bytes = privateMessage({ conversation: this.room.conversation, epoch: this.#epoch() }, randomBytes(9));
    this.altered.add(toHex(bytes));
    asked.by.askOther({ ...asked.frame, bytes });
  }
}

afterEach(() => vi.restoreAllMocks());

test("O17: whatever happens, every device has the same gapless, proven log with everything accepted in it once", {
  timeout: 240_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
      const life = await Life.begin();
      for (const one of steps) await life.take(one);
      await life.finish();
      const [first, ...others] = life.followers;
      for (const follower of others) expect(follower.taken).toEqual(first?.taken);
      const accepted = life.asked.flatMap(({ by, frame }) => {
        const outcome = by.outcomes.get(toHex(frame.id));
        return typeof outcome === "number" ? [{ seq: outcome, frame }] : [];
      });
      expect(accepted.map(({ seq }) => seq).sort((a, b) => a - b)).toEqual(
        Array.from({ length: accepted.length }, (_, index) => index + 2),
      );
      expect(first?.cursor).toBe(accepted.length + 1);
      const inOrder = accepted.sort((a, b) => a.seq - b.seq).map(({ frame }) => frame);
      const epochs = inOrder.map(({ bytes }) => readHeader(bytes)?.epoch);
      let epoch = 1;
      for (const [index, { type }] of inOrder.entries()) {
        expect(epochs[index]).toBe(epoch);
        if (type === "commit") epoch++;
      }
      const stored = await runInDurableObject(life.room.stub, (_, { storage }) =>
        [...storage.sql.exec<{ bytes: ArrayBuffer }>("SELECT bytes FROM log WHERE bytes IS NOT NULL")].map(
          ({ bytes }) => toHex(new Uint8Array(bytes)),
        ),
      );
      expect(stored.filter((bytes) => life.altered.has(bytes))).toEqual([]);
      vi.restoreAllMocks();
    }),
    { numRuns: 40, interruptAfterTimeLimit: 60_000 },
  );
});
