// Random lives of a conversation against the real object: whatever its devices send, resend, commit, confirm and miss, and however often
// the object is evicted, cut off or swept, every device ends up with the same proven log.

import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import fc from "fast-check";
import { afterEach, expect, test, vi } from "vitest";
import { randomBytes, toHex } from "../../schemas/bytes.ts";
import { readHeader } from "../../schemas/envelope.ts";
import type { CommitFrame, SendFrame } from "../../schemas/frames.ts";
import { readGroupId } from "../../schemas/ids.ts";
import { eventually } from "./support/eventually.ts";
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
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reset" as const), who }) },
  { weight: 1, arbitrary: fc.constant({ kind: "resets" as const }) },
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

/** The group as accepted commits have left it; leaves by index. */
interface Place {
  readonly generation: number;
  readonly epoch: number;
  readonly leaves: readonly Follower[];
}

const DAY = 86_400_000;

/** Where the next message of the group of `frame` belongs. */
function placeOf({ bytes }: Pick<Asked["frame"], "bytes">): Pick<Place, "generation" | "epoch"> {
  const header = readHeader(bytes);
  const id = header === undefined ? undefined : readGroupId(header.groupId);
  if (header === undefined || id === undefined) throw new Error("not a message of ours");
  return { generation: id.generation, epoch: header.epoch };
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
      case "reset":
        this.#advance(DAY);
        return this.#reset(this.#follower(step.who));
      case "resets":
        this.#advance(DAY);
        for (const follower of this.followers) this.#reset(follower);
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
    await eventually(() => {
      expect(this.followers.map(({ fault }) => fault)).toEqual(this.followers.map(() => undefined));
      expect(this.followers.every(({ answered }) => answered)).toBe(true);
      expect(new Set(this.followers.map(({ cursor }) => cursor)).size).toBe(1);
      expect(this.followers[0]?.cursor).toBeGreaterThan(0);
    });
  }

  /** An object that sleeps already cannot be evicted, so it is woken first. */
  async #evict(webSockets: "hibernate" | "close"): Promise<void> {
    await runInDurableObject(this.room.stub, () => {});
    await evictDurableObject(this.room.stub, { webSockets });
  }

  async #sweep(): Promise<void> {
    this.#advance(10_001);
    await runDurableObjectAlarm(this.room.stub);
  }

  /** Moves the server's clock on, in ms. */
  #advance(by: number): void {
    this.#offset += by;
    const offset = this.#offset;
    vi.restoreAllMocks();
    const now = Date.now.bind(Date);
    vi.spyOn(Date, "now").mockImplementation(() => now() + offset);
  }

  #follower(index: number): Follower {
    const follower = this.followers[index];
    if (follower === undefined) throw new Error("no such device");
    return follower;
  }

  /** The group as far as answers tell. */
  get place(): Place {
    let place: Place = { generation: 0, epoch: 1, leaves: this.followers };
    for (const { by, frame } of this.accepted) {
      if (frame.type === "send") continue;
      const { generation } = placeOf(frame);
      const isReset = generation > place.generation;
      const leaves = isReset ? [by, ...this.followers.filter((one) => one !== by)] : place.leaves;
      place = { generation, epoch: isReset ? 1 : place.epoch + 1, leaves };
    }
    return place;
  }

  /** All that was accepted, in order. */
  get accepted(): (Asked & { readonly seq: number })[] {
    return this.asked
      .flatMap(({ by, frame }) => {
        const seq = by.outcomes.get(toHex(frame.id));
        return typeof seq === "number" ? [{ by, frame, seq }] : [];
      })
      .sort((a, b) => a.seq - b.seq);
  }

  #ask(by: Follower, frame: Asked["frame"]): void {
    this.asked.push({ by, frame });
    by.ask(frame);
  }

  #send(by: Follower, size: number, expires: boolean): void {
    const { generation, epoch } = this.place;
    const bytes = privateMessage({ conversation: this.room.conversation, generation, epoch }, randomBytes(size));
    this.#ask(by, { type: "send", id: randomBytes(16), bytes, ...(expires && { expiresIn: 10_000 }) });
  }

  #commit(by: Follower): void {
    const { generation, epoch, leaves } = this.place;
    this.#ask(by, by.peer.commitFrame({ generation, epoch, sender: leaves.indexOf(by) }));
  }

  #reset(by: Follower): void {
    const generation = this.place.generation + 1;
    const added = this.followers.filter((one) => one !== by).map(({ who }) => who);
    this.#ask(by, by.peer.commitFrame({ generation, epoch: 0, sender: 0, added }));
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
    const { generation, epoch } = this.place;
    const bytes = privateMessage({ conversation: this.room.conversation, generation, epoch }, randomBytes(9));
    this.altered.add(toHex(bytes));
    asked.by.askOther({ ...asked.frame, bytes });
  }
}

afterEach(() => vi.restoreAllMocks());

test("O17, E43: whatever happens, every device has the same gapless, proven log with everything accepted in it once", {
  timeout: 240_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
      const life = await Life.begin();
      for (const one of steps) await life.take(one);
      await life.finish();
      const [first, ...others] = life.followers;
      for (const follower of others) expect(follower.taken).toEqual(first?.taken);
      const { accepted } = life;
      expect(accepted.map(({ seq }) => seq)).toEqual(Array.from({ length: accepted.length }, (_, index) => index + 2));
      expect(first?.cursor).toBe(accepted.length + 1);
      let next = { generation: 0, epoch: 1 };
      for (const { frame } of accepted) {
        const place = placeOf(frame);
        const isReset = frame.type === "commit" && place.generation > next.generation;
        expect(place).toEqual(isReset ? { generation: next.generation + 1, epoch: 0 } : next);
        if (frame.type === "commit") next = { ...place, epoch: place.epoch + 1 };
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
