// Random lives of groups through the real API, every device reloaded from its rows before each step. What a run did follows from its seed.

import { describe, expect, test } from "vitest";
import { commit, dropPending } from "../../../client/engine/group/commit.ts";
import { createGroup, epochAuthenticator, facts, roster, seal } from "../../../client/engine/group/group.ts";
import { join, joinExternally } from "../../../client/engine/group/join.ts";
import { open } from "../../../client/engine/group/open.ts";
import { type Context, type Group, type Step, wipe } from "../../../client/engine/group/state.ts";
import { toHex, utf8 } from "../../../schemas/bytes.ts";
import type { ConversationId } from "../../../schemas/ids.ts";
import { addition, conversationId, createContext, keyPackageOf, NOW, Rows } from "./people.ts";

// A night run sets KUVERT_RUNS and KUVERT_STEPS higher
const RUNS = Number(process.env.KUVERT_RUNS ?? 20);
const STEPS = Number(process.env.KUVERT_STEPS ?? 15);
const MOST = 7;
const base = Number(process.env.KUVERT_SEED ?? Date.now() % 1_000_000);

/** mulberry32: small, fast, and good enough to choose steps with. */
function randomBelow(seed: number): (limit: number) => number {
  let state = seed >>> 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

interface Player {
  readonly context: Context;
  readonly rows: Rows;
}

/** A group of players with a server in miniature: what is delivered reaches everybody in one order. */
class World {
  readonly random: (limit: number) => number;
  readonly conversation: ConversationId = conversationId();
  players: Player[] = [];
  groupInfo = new Uint8Array();

  constructor(seed: number) {
    this.random = randomBelow(seed);
  }

  async start(): Promise<void> {
    const context = await createContext();
    const player = { context, rows: new Rows() };
    const created = await createGroup({ context, conversation: this.conversation, generation: 0, now: NOW });
    keep(player, created);
    this.players = [player];
  }

  async step(): Promise<void> {
    const choice = this.random(10);
    if (this.players.length < 3 || choice < 3) await this.#change(this.players.length < MOST);
    else if (choice < 5) await this.#change(false);
    else if (choice === 5) await this.#race();
    else if (choice === 6) await this.#rejoin();
    else await this.#talk();
  }

  /** One commit: an update, removes, adds, or both at once. */
  async #change(adding: boolean): Promise<void> {
    const by = this.#anyone();
    const group = load(by);
    const newcomers = adding ? await this.#newcomers(1 + this.random(3)) : [];
    const others = roster(group).filter(({ leaf }) => leaf !== facts(group)?.leaf);
    const remove = this.players.length > 2 && this.random(2) === 0 ? [this.#one(others).leaf] : [];
    const made = await commit(group, { add: newcomers.map(({ add }) => add), remove, now: NOW });
    if (made.kind !== "committed") throw new Error(made.reason);
    keep(by, made);
    await this.#deliver(made.bundle.commit);
    this.groupInfo = made.bundle.groupInfo.slice();
    for (const { player, privateRecord } of newcomers) {
      const { context } = player;
      const welcome = made.bundle.welcome?.bytes ?? new Uint8Array();
      const joined = await join({ welcome, keyPackage: privateRecord, context, conversation: this.conversation });
      if (joined.kind !== "joined") throw new Error(`newcomer refused: ${joined.reason}`);
      keep(player, joined);
      this.players.push(player);
    }
    this.#agree();
  }

  /** Two commits for one epoch: the second is dropped and its maker follows the first. */
  async #race(): Promise<void> {
    const [winner, loser] = [this.#anyone(), this.#anyone()];
    const made = await commit(load(winner), { now: NOW });
    if (made.kind !== "committed") throw new Error(made.reason);
    keep(winner, made);
    if (winner !== loser) {
      const lost = await commit(load(loser), { now: NOW });
      if (lost.kind !== "committed") throw new Error(lost.reason);
      keep(loser, lost);
      if (this.random(2) === 0) keep(loser, dropPending(load(loser)));
    }
    await this.#deliver(made.bundle.commit);
    this.groupInfo = made.bundle.groupInfo.slice();
    this.#agree();
  }

  /** A device that lost all its rows lets itself in again. */
  async #rejoin(): Promise<void> {
    if (this.groupInfo.length === 0) return;
    const player = this.#anyone();
    const { context } = player;
    const fresh = { context, rows: new Rows() };
    const order = { groupInfo: this.groupInfo, context, conversation: this.conversation, generation: 0, now: NOW };
    const made = await joinExternally(order);
    if (made.kind !== "committed") throw new Error(`rejoin refused: ${made.reason}`);
    keep(fresh, made);
    this.players = this.players.map((other) => (other === player ? fresh : other));
    await this.#deliver(made.bundle.commit);
    this.groupInfo = made.bundle.groupInfo.slice();
    this.#agree();
  }

  /** A few messages of one device, two of them possibly swapped on the way. */
  async #talk(): Promise<void> {
    const by = this.#anyone();
    const sent: { text: string; bytes: Uint8Array }[] = [];
    for (let count = 1 + this.random(3); count > 0; count--) {
      const text = `message ${this.random(1e9)}`;
      const sealed = await seal(load(by), utf8(text));
      keep(by, sealed);
      sent.push({ text, bytes: sealed.bytes });
    }
    if (this.random(2) === 0) sent.reverse();
    for (const { text, bytes } of sent) {
      for (const player of this.players) {
        const opened = await open(load(player), bytes, { acceptedAt: NOW });
        keep(player, opened);
        const { member, device } = by.context.me;
        const expected =
          player === by
            ? { kind: "skipped", reason: "replayed" }
            : { kind: "message", plaintext: utf8(text), sender: { member, device } };
        expect(opened.outcome).toMatchObject(expected);
      }
    }
  }

  async #deliver(bytes: Uint8Array): Promise<void> {
    const staying: Player[] = [];
    for (const player of this.players) {
      const opened = await open(load(player), bytes, { acceptedAt: NOW });
      if (opened.outcome.kind !== "epoch") throw new Error(`commit refused: ${JSON.stringify(opened.outcome)}`);
      keep(player, opened);
      if (!opened.outcome.selfRemoved) staying.push(player);
    }
    this.players = staying;
  }

  #agree(): void {
    const groups = this.players.map(load);
    expect(new Set(groups.map((group) => toHex(epochAuthenticator(group)))).size).toBe(1);
    for (const group of groups) {
      expect(group.pending).toBeNull();
      const keys = Object.keys(group.live?.privatePath.privateKeys ?? {});
      expect(keys.filter((node) => group.live?.tree[Number(node)] === undefined)).toEqual([]);
      expect(
        roster(group)
          .map(({ device }) => device)
          .sort(),
      ).toEqual(this.#devices());
    }
  }

  #devices(): string[] {
    return this.players.map(({ context }) => context.me.device as string).sort();
  }

  async #newcomers(count: number) {
    const people = await Promise.all(Array.from({ length: count }, () => createContext()));
    return Promise.all(
      people.map(async (context) => {
        const keyPackage = await keyPackageOf(context.me);
        const player: Player = { context, rows: new Rows() };
        return { player, add: addition(context.me, keyPackage), privateRecord: keyPackage.privateRecord };
      }),
    );
  }

  #anyone(): Player {
    return this.#one(this.players);
  }

  #one<Item>(items: readonly Item[]): Item {
    const item = items[this.random(items.length)];
    if (item === undefined) throw new Error("nothing to choose from");
    return item;
  }
}

function load({ rows, context }: Player): Group {
  return rows.load(context);
}

/** Stores a step as the engine would, then destroys what it used up: a state that still needed it would fail at once. */
function keep({ rows }: Player, { writes, spent }: Step): void {
  rows.apply(writes);
  wipe(spent);
}

describe("E1: every device that follows the same commits is in the same state", () => {
  test.each(Array.from({ length: RUNS }, (_, run) => base + run))(
    "E1, E3, E4, E10: a random life, KUVERT_SEED=%i",
    async (seed) => {
      const world = new World(seed);
      await world.start();
      for (let step = 0; step < STEPS; step++) {
        await world.step().catch((error: unknown) => {
          throw new Error(`seed ${seed}, step ${step}: ${error}`, { cause: error });
        });
      }
    },
    2_000 * STEPS,
  );
});
