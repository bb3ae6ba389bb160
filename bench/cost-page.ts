// What the page of the cost measurements offers them: groups of many devices and proofs of a large key log, made and timed by Chromium itself.

import { type Committed, confirmPending } from "../client/engine/group/commit.ts";
import { createGroup, seal } from "../client/engine/group/group.ts";
import type { OwnKeyPackage } from "../client/engine/group/key-packages.ts";
import { openMany } from "../client/engine/group/open-many.ts";
import type { Context, Group, Write } from "../client/engine/group/state.ts";
import {
  completedBy,
  consistencyProof,
  type Hash,
  inclusionProof,
  leafHash,
  type NodeAt,
  rootAt,
  verifyConsistency,
  verifyInclusion,
} from "../schemas/merkle.ts";
import {
  addition,
  commitOf,
  conversationId,
  createContext,
  joinOf,
  keyPackageOf,
  NOW,
  openNow,
} from "../test/client/group/people.ts";

/** How often each step is repeated: a group is a value, so the same device can be added again and again. */
const REPEATS = 5;
/** Proofs verified in one timing: a single one is shorter than what Chromium's clock can tell. */
const PROOFS = 250;

/** What it takes to add one more device. Times in ms, one for each repetition. */
export interface Adding {
  readonly sender: readonly number[];
  readonly receiver: readonly number[];
  readonly newcomer: readonly number[];
  readonly commitBytes: number;
  readonly welcomeBytes: number;
  readonly groupInfoBytes: number;
}

/** What one message makes the sender and a receiver write, in bytes and rows. */
export interface Writing {
  readonly sealedBytes: number;
  readonly openedBytes: number;
  readonly openedRows: number;
}

async function timed<Result>(into: number[], work: () => Promise<Result>): Promise<Result> {
  const start = performance.now();
  const result = await work();
  into.push(performance.now() - start);
  return result;
}

const joined = (made: Committed, newcomer: { keyPackage: OwnKeyPackage; context: Context }) =>
  joinOf({
    welcome: made.bundle.welcome?.bytes ?? new Uint8Array(),
    keyPackage: newcomer.keyPackage.privateRecord,
    context: newcomer.context,
    conversation: made.group.conversation,
  });

const invited = async () => {
  const context = await createContext();
  return { context, keyPackage: await keyPackageOf(context.me) };
};

/** A group that somebody founded with `size - 1` others at once; none of them has committed, so the tree's inner nodes are blank. */
async function found(size: number): Promise<{ founder: Group; member: Group }> {
  const context = await createContext();
  const [first, ...rest] = [await invited(), ...(await Promise.all(Array.from({ length: size - 2 }, invited)))];
  const created = await createGroup({ context, conversation: conversationId(), generation: 0, now: NOW });
  const add = [first, ...rest].map(({ context: { me }, keyPackage }) => addition(me, keyPackage));
  const made = await commitOf(created.group, { add });
  return { founder: confirmPending(made.group).group, member: (await joined(made, first)).group };
}

/** Adds device number `size` to a group, for its sender, for a device that is in it, and for itself. */
async function add(size: number): Promise<Adding & Writing> {
  const { founder, member } = await found(size - 1);
  const newcomer = await invited();
  const order = { add: [addition(newcomer.context.me, newcomer.keyPackage)] };
  const times = { sender: [], receiver: [], newcomer: [] } as Record<"sender" | "receiver" | "newcomer", number[]>;
  for (let at = 0; at < REPEATS; at++) {
    const made = await timed(times.sender, async () => {
      const committed = await commitOf(founder, order);
      confirmPending(committed.group);
      return committed;
    });
    const followed = await timed(times.receiver, () => openNow(member, made.bundle.commit));
    if (followed.outcome.kind !== "epoch") throw new Error(`not followed: ${followed.outcome.kind}`);
    await timed(times.newcomer, () => joined(made, newcomer));
  }
  const made = await commitOf(founder, order);
  const followed = await openNow(member, made.bundle.commit);
  return {
    ...times,
    commitBytes: made.bundle.commit.length,
    welcomeBytes: made.bundle.welcome?.bytes.length ?? 0,
    groupInfoBytes: made.bundle.groupInfo.length,
    ...(await say(confirmPending(made.group).group, followed.group)),
  };
}

const bytesOf = (writes: readonly Write[]): number => writes.reduce((sum, { value }) => sum + (value?.length ?? 0), 0);

async function say(sender: Group, receiver: Group): Promise<Writing> {
  const sealed = await seal(sender, new TextEncoder().encode("x"));
  const opened = await openNow(receiver, sealed.bytes);
  if (opened.outcome.kind !== "message") throw new Error(`not opened: ${opened.outcome.kind}`);
  return {
    sealedBytes: bytesOf(sealed.writes),
    openedBytes: bytesOf(opened.writes),
    openedRows: opened.writes.length,
  };
}

/** Messages that the engine opens side by side, as arrivals hands them on. */
const PAGE = 256;
const TEXT = 120;

/** How many messages of a backlog are opened a second, once for each of `pages` pages: decrypted and their signatures verified, nothing stored or shown. */
async function openBacklog(pages: number): Promise<number[]> {
  const { founder, member } = await found(2);
  const rates: number[] = [];
  let [sender, receiver] = [founder, member];
  for (let at = 0; at < pages; at++) {
    const envelopes: Uint8Array[] = [];
    while (envelopes.length < PAGE) {
      const sealed = await seal(sender, crypto.getRandomValues(new Uint8Array(TEXT)));
      sender = sealed.group;
      envelopes.push(sealed.bytes);
    }
    const start = performance.now();
    const opened = await openMany(receiver, envelopes);
    rates.push((PAGE * 1_000) / (performance.now() - start));
    if (opened === undefined) throw new Error("a page was not opened");
    receiver = opened.group;
  }
  return rates;
}

/** A log of `size` leaves: every perfect subtree of it. */
function growLog(size: number): NodeAt {
  const levels: Hash[][] = [];
  const nodeAt: NodeAt = (level, index) => {
    const hash = levels[level]?.[index];
    if (hash === undefined) throw new RangeError("no such node");
    return hash;
  };
  for (let at = 0; at < size; at++) {
    const leaf = leafHash(new Uint8Array(new Float64Array([at]).buffer));
    for (const [level, hash] of completedBy(leaf, at, nodeAt).entries()) {
      levels[level] ??= [];
      levels[level].push(hash);
    }
  }
  return nodeAt;
}

/** Verifying one proof, in µs, a mean for each repetition: that a leaf is in a log of `size`, and that the log goes on from an earlier head. */
function prove(size: number): { inclusion: number[]; consistency: number[] } {
  const nodeAt = growLog(size);
  const root = rootAt(size, nodeAt);
  const places = Array.from({ length: PROOFS }, (_, at) => 1 + Math.floor(((at + 0.5) * (size - 1)) / PROOFS));
  const inclusions = places.map((index) => {
    return { leaf: nodeAt(0, index), index, size, root, proof: inclusionProof(index, size, nodeAt) };
  });
  const growths = places.map((first) => ({
    first: { size: first, root: rootAt(first, nodeAt) },
    second: { size, root },
    proof: consistencyProof(first, size, nodeAt),
  }));
  const mean = (verifyAll: () => boolean): number => {
    const start = performance.now();
    if (!verifyAll()) throw new Error("a good proof was refused");
    return ((performance.now() - start) * 1_000) / PROOFS;
  };
  const repeats = Array.from({ length: REPEATS });
  return {
    inclusion: repeats.map(() => mean(() => inclusions.every(verifyInclusion))),
    consistency: repeats.map(() => mean(() => growths.every(verifyConsistency))),
  };
}

const page = { add, openBacklog, prove };

export type CostPage = typeof page;
Object.assign(globalThis, { page });
