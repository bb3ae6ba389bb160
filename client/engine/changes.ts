// Owns how people enter and leave a conversation: what the server is asked first, then the commit that makes it so in the group.
// Every step may be repeated after a crash. Sends nothing on the socket itself.

import { fromBase64url } from "../../schemas/bytes.ts";
import type { MemberId } from "../../schemas/ids.ts";
import { isRefusal, REFUSALS, Refusal, type RefusalCode } from "../../schemas/refusal.ts";
import type { Found } from "./findings.ts";
import { beginAnew } from "./group/begin.ts";
import { type Addition, type CommitRefused, type Committed, commit } from "./group/commit.ts";
import { roster } from "./group/group.ts";
import { type JoinRefused, joinExternally } from "./group/join.ts";
import { type Peer, sameDevice } from "./group/state.ts";
import type { Ledger } from "./ledger.ts";
import type { Bytes, IntentRecord, Sealed, Wish } from "./records.ts";
import { succeed } from "./succession.ts";

/** How often key packages that turn out unusable are left out before the whole change fails. */
const MOST_UNUSABLE = 50;

/** What the server has to be asked for first. */
const ASKING: ReadonlySet<Wish["kind"]> = new Set(["create", "add", "remove", "leave", "reset"]);

/** What a person hears of a key package that the server handed out and nobody would use. */
const BAD_KEYS: ReadonlyMap<string, Found["kind"]> = new Map([
  ["wrong_device", "swapped"],
  ["uncertified", "swapped"],
  ["wrong_tenant", "swapped"],
  ["expired", "unusable"],
  ["malformed", "unusable"],
]);

/** Whom a change brings, with the key packages that were claimed for them; null while the server has not been asked. */
type Prepared = readonly Addition[];

/** Works out the changes of one conversation. */
export class Changes {
  readonly #ledger: Ledger;
  readonly #prepared = new Map<number, Prepared>();
  /** Whom the server last named to be committed out, by leaf: somebody else may sit there by now. */
  #leaving: readonly Peer[] = [];
  /** The leaves the server last named, whoever sits there. */
  #named: readonly number[] = [];

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  /** Leaves that must go, and still are there. */
  get leaving(): readonly number[] {
    if (this.#leaving.length === 0) return [];
    const { group, surroundings } = this.#ledger;
    const peers = group === null ? [] : roster(group);
    const isHere = (gone: Peer) => peers.some((peer) => peer.leaf === gone.leaf && sameDevice(peer, gone));
    return this.#leaving
      .filter((gone) => isHere(gone) && !sameDevice(gone, surroundings.context.me))
      .map(({ leaf }) => leaf);
  }

  /** The server names the leaves that must be committed out. */
  heed(leaves: readonly number[]): void {
    const { group } = this.#ledger;
    this.#named = leaves;
    this.#leaving = group === null ? [] : roster(group).filter(({ leaf }) => leaves.includes(leaf));
  }

  /** Whoever founded the conversation may not commit any more; of use only before the first commit. */
  get isFounderGone(): boolean {
    return this.#named.includes(0);
  }

  /** Whether the server has yet to be asked before this can become a commit. */
  needsServer({ order, wish, sealed }: IntentRecord): boolean {
    return wish !== null && ASKING.has(wish.kind) && sealed === null && !this.#prepared.has(order);
  }

  /**
   * Asks the server for what a change needs; may be repeated. Does not touch the ledger, so it runs beside its turns.
   * @throws {Refusal} any — the change is not possible; with a remedy of `retry`, not possible now
   */
  async prepare({ order, wish }: IntentRecord): Promise<void> {
    const { api, context } = this.#ledger.surroundings;
    const { id, record } = this.#ledger;
    if (wish?.kind === "create") await api.found({ id, members: [...wish.members] });
    if (wish?.kind === "add") for (const member of wish.members) await api.admit(id, member);
    if (wish?.kind === "remove") await api.dismiss(id, wish.member);
    if (wish?.kind === "leave") await api.dismiss(id, context.me.member);
    if (wish?.kind === "reset") {
      const listed = await this.#participants();
      const claims = listed.map((member) => this.#claim(member).catch(nobodyUnlessLater));
      this.#prepared.set(order, await this.#inUse((await Promise.all(claims)).flat()));
      return;
    }
    const others = wish?.kind === "create" || wish?.kind === "add" ? wish.members : [];
    const members = record.kind === "self" ? [context.me.member] : others;
    const claimed = (await Promise.all(members.map((member) => this.#claim(member)))).flat();
    this.#prepared.set(order, await this.#inUse(claimed));
  }

  /** The next attempt at this change starts from the beginning. */
  forget({ order }: IntentRecord): void {
    this.#prepared.delete(order);
  }

  /** The next attempt at a reset brings nobody in: everybody else can let itself in. */
  beAlone({ order }: IntentRecord): void {
    this.#prepared.set(order, []);
  }

  /** Makes the commit of an intent and saves it with the intent; `undefined` when nothing is to be committed (any more). */
  async make(intent: IntentRecord): Promise<IntentRecord | undefined> {
    const { wish, order } = intent;
    if (wish === null || this.needsServer(intent)) return undefined;
    const additions = this.#prepared.get(order) ?? [];
    if (wish.kind === "leave") return this.#left(intent);
    if (wish.kind === "rejoin") return undefined;
    if (wish.kind === "reset") return this.#reset(intent, { generation: wish.generation, additions });
    const remove = wish.kind === "expel" ? this.leaving : [];
    const add = this.#absent(additions);
    // Nobody can let itself into a group before its first commit, and whoever has no key packages yet will want to
    const mayBeBare = wish.kind === "refresh" || wish.kind === "create";
    if (!mayBeBare && add.length === 0 && remove.length === 0) return this.#done(intent);
    const made = await this.#commit({ add, remove, mayBeBare });
    return made === undefined ? this.#done(intent) : this.#keep(intent, made);
  }

  /** Wishes to commit out whom the server has removed, unless that is wished already. */
  async expel(): Promise<void> {
    const { leaving } = this;
    if (leaving.length > 0 && this.#ledger.group?.live != null) await this.#wish({ kind: "expel", leaves: leaving });
  }

  /** Wishes to renew the own keys, unless that is wished already. */
  refresh(): Promise<void> {
    return this.#wish({ kind: "refresh" });
  }

  /** Wishes to begin the conversation anew, unless that is wished already. */
  beginAnew(generation: number): Promise<void> {
    return this.#wish({ kind: "reset", generation });
  }

  /** Lets this device in again with what the server keeps of the group; otherwise says why that leads nowhere. */
  async rejoin(kept: { groupInfo: Uint8Array; generation: number }): Promise<"on_its_way" | JoinRefused["reason"]> {
    const { groupInfo, generation } = kept;
    const { group, id, surroundings, outbox } = this.#ledger;
    const known = group?.generation === generation ? group : undefined;
    const made = await joinExternally({
      groupInfo,
      context: surroundings.context,
      conversation: id,
      generation,
      known,
      now: surroundings.time.now(),
    });
    if (made.kind === "refused") {
      if (made.reason === "untrusted") return made.reason;
      surroundings.fault("rejoin", new Error(made.reason));
      return made.reason;
    }
    const intent = outbox.compose({ kind: "rejoin" }, surroundings.time.now());
    await this.#keep(intent, made);
    return "on_its_way";
  }

  /** Those whom the key log has and has not taken out. */
  async #inUse(claimed: Prepared): Promise<Prepared> {
    const { keys } = this.#ledger.surroundings;
    if (!claimed.every((addition) => keys.isInUse(addition))) await keys.look();
    return claimed.filter((addition) => keys.isInUse(addition));
  }

  async #reset(
    intent: IntentRecord,
    { generation, additions }: { generation: number; additions: Prepared },
  ): Promise<IntentRecord | undefined> {
    const { id, record, group, surroundings } = this.#ledger;
    const { context, time } = surroundings;
    if (!record.lost || (group?.live != null && group.generation >= generation)) return this.#done(intent);
    const others = additions.filter((addition) => !sameDevice(addition, context.me));
    const made = await this.#leavingOut(others, (add) =>
      beginAnew({ context, conversation: id, generation, add, now: time.now() }),
    );
    return made === undefined ? this.#done(intent) : this.#keep(intent, made);
  }

  /** Who is in this conversation, as the server lists it. @throws {Refusal} not_found — this member is not */
  async #participants(): Promise<readonly MemberId[]> {
    const { surroundings, id } = this.#ledger;
    const listed = (await surroundings.api.conversations()).find((one) => one.id === id);
    if (listed === undefined) throw new Refusal("not_found");
    return listed.members;
  }

  async #claim(member: MemberId): Promise<Addition[]> {
    const packages = await this.#ledger.surroundings.api.claimKeyPackages(member);
    return packages.flatMap(({ device, bytes }) => {
      const keyPackage = fromBase64url(bytes);
      return keyPackage === undefined ? [] : [{ member, device, keyPackage }];
    });
  }

  /** Those of the prepared devices who are not in the group yet. */
  #absent(additions: Prepared): Addition[] {
    const { group } = this.#ledger;
    const peers = group === null ? [] : roster(group);
    return additions.filter((addition) => !peers.some((peer) => sameDevice(peer, addition)));
  }

  /** Makes a commit; `undefined` when nothing is left to commit, unless it may be bare of changes. */
  async #commit(order: {
    add: Addition[];
    remove: readonly number[];
    mayBeBare: boolean;
  }): Promise<Committed | undefined> {
    const { group, surroundings } = this.#ledger;
    if (group === null) return undefined;
    const { add, remove, mayBeBare } = order;
    return this.#leavingOut(add, async (wanted) => {
      const isVain = !mayBeBare && wanted.length === 0 && remove.length === 0;
      return isVain ? undefined : commit(group, { add: wanted, remove, now: surroundings.time.now() });
    });
  }

  /** Makes a commit that leaves out devices whose key packages are unusable. */
  async #leavingOut(
    add: readonly Addition[],
    make: (add: readonly Addition[]) => Promise<Committed | CommitRefused | undefined>,
  ): Promise<Committed | undefined> {
    let wanted = add;
    for (let attempt = 0; attempt < MOST_UNUSABLE; attempt++) {
      const made = await make(wanted);
      if (made === undefined || made.kind === "committed") return made;
      const { keys, fault } = this.#ledger.surroundings;
      if (made.reason === "untrusted") void keys.looked();
      fault("commit", new Error(made.reason));
      const { device } = made;
      if (device === undefined) return undefined;
      const kind = BAD_KEYS.get(made.reason);
      if (kind !== undefined) await keys.report({ kind, ...device });
      wanted = wanted.filter((addition) => !sameDevice(addition, device));
    }
    return undefined;
  }

  async #keep(intent: IntentRecord, made: Committed): Promise<IntentRecord> {
    const draft = this.#ledger.draft();
    draft.step(made);
    const { commit: bytes, welcome, groupInfo } = made.bundle;
    const welcomes = welcome === null ? [] : [{ devices: welcome.devices, bytes: welcome.bytes as Bytes }];
    const sealed: Sealed = {
      generation: made.group.generation,
      epoch: made.epoch,
      at: this.#ledger.surroundings.time.now(),
      bytes: bytes as Bytes,
      expiresIn: null,
      commit: { welcomes, groupInfo: groupInfo as Bytes },
    };
    const kept: IntentRecord = { ...intent, sealed };
    draft.intend(kept);
    const { record } = draft;
    if (record.generation !== null && record.generation !== made.group.generation) {
      // Whoever is in another generation by now was lost in the old one, and whom it knows there may come in after it
      draft.set({ absent: record.members, successors: [] });
      await succeed(this.#ledger, draft, made.group.generation);
    }
    draft.set({ generation: made.group.generation });
    if (intent.wish?.kind === "create") {
      const welcomed = new Set(welcome?.devices.map(({ member }) => member));
      draft.set({ absent: intent.wish.members.filter((member) => !welcomed.has(member)) });
    }
    draft.afterwards(() => this.#ledger.outbox.put(kept));
    await this.#ledger.save(draft);
    return kept;
  }

  async #done(intent: IntentRecord): Promise<undefined> {
    const draft = this.#ledger.draft();
    draft.retire(intent);
    draft.afterwards(() => this.#ledger.outbox.delete(intent));
    await this.#ledger.save(draft);
  }

  async #left(intent: IntentRecord): Promise<undefined> {
    const { surroundings } = this.#ledger;
    const me = surroundings.context.me.member;
    const draft = this.#ledger.draft();
    draft.retire(intent);
    const { record } = draft;
    draft.set({ state: "ended", members: record.members.filter((member) => member !== me), unread: 0 });
    draft.remark({ kind: "left" }, { from: me, at: surroundings.time.now() });
    draft.afterwards(() => this.#ledger.outbox.delete(intent));
    await this.#ledger.save(draft);
  }

  async #wish(wish: Wish): Promise<void> {
    const { outbox, surroundings } = this.#ledger;
    if (outbox.open.some((intent) => intent.wish?.kind === wish.kind)) return;
    const intent = outbox.compose(wish, surroundings.time.now());
    const draft = this.#ledger.draft();
    draft.intend(intent);
    draft.afterwards(() => outbox.put(intent));
    await this.#ledger.save(draft);
  }
}

/** A member that has nothing to give is left out; a server that cannot answer now is asked again. */
function nobodyUnlessLater(error: unknown): Addition[] {
  if (mayPass(error)) throw error;
  return [];
}

/** Whether asking again later may help. */
export function mayPass(error: unknown): boolean {
  return isRefusal(error) && REFUSALS[error.code].remedy === "retry";
}

/** The code of a refusal; anything else that was thrown counts as a fault of ours. */
export function codeOf(error: unknown): RefusalCode {
  return isRefusal(error) ? error.code : "internal";
}
