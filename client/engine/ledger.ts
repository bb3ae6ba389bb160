// Owns the truth about one conversation on this device: record, group and intents, in memory exactly as they are in the store, changed by
// one piece of work at a time. Knows neither sockets nor what the changes mean.

import type { ConversationId } from "../../schemas/ids.ts";
import { Draft, groupPrefix } from "./draft.ts";
import { loadGroup } from "./group/group.ts";
import { type Group, wipe } from "./group/state.ts";
import { Heads } from "./log-proof.ts";
import { messageView, type Sight } from "./message-view.ts";
import { Outbox } from "./outbox.ts";
import { type ConversationRecord, decodeRecord, type IntentRecord } from "./records.ts";
import { isStoreFailure } from "./store.ts";
import type { Surroundings } from "./surroundings.ts";

/** Everything one conversation is, with the only way to change it. */
export class Ledger {
  readonly id: ConversationId;
  readonly surroundings: Surroundings;
  readonly outbox: Outbox;
  record: ConversationRecord;
  /** Null until the first {@link turn}, and when this device is in no group of it. */
  group: Group | null = null;
  heads: Heads;
  /** The store keys of lines that have been shown, by their own: from there a person looks further back. */
  readonly places = new Map<string, string>();
  /** Told that the store failed: what was begun is undone, and what is in memory is read anew before the next work. */
  failed: (() => void) | null = null;
  readonly #first: ConversationRecord;
  #loaded = false;
  #isStale = false;
  #failures = 0;
  #turn: Promise<unknown> = Promise.resolve();
  #busy = 0;
  #stopped = false;

  constructor(surroundings: Surroundings, kept: { record: ConversationRecord; intents: readonly IntentRecord[] }) {
    this.id = kept.record.id;
    this.surroundings = surroundings;
    this.#first = kept.record;
    this.record = kept.record;
    this.outbox = new Outbox(kept.record.id, kept.intents);
    this.heads = new Heads(kept.record.heads);
  }

  /** Nothing is being worked on and nothing waits to be. */
  get idle(): boolean {
    return this.#busy === 0;
  }

  /**
   * Runs `work` after all work given before. When the store fails, everything is as if the engine had died and been opened again: the
   * next work begins with what the store has. Work that fails otherwise stops this conversation until the engine is opened again.
   */
  turn<Result>(work: () => Promise<Result>): Promise<Result | undefined> {
    this.#busy += 1;
    const done = this.#turn.then(async () => {
      try {
        await this.#load();
        return this.#stopped ? undefined : await work();
      } catch (error) {
        this.surroundings.fault("conversation", error);
        if (isStoreFailure(error)) this.#fail();
        else this.stop();
        return undefined;
      } finally {
        this.#busy -= 1;
      }
    });
    this.#turn = done;
    return done;
  }

  /** No further work is begun. */
  stop(): void {
    this.#stopped = true;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** How often the store has failed since something was last saved. */
  get failures(): number {
    return this.#failures;
  }

  /** The present state, to be changed and {@link save}d within the same turn. */
  draft(): Draft {
    const { record, group } = this;
    return new Draft({ record, group, timers: this.surroundings.timers });
  }

  /** Makes a draft durable in one write, then true, then known. */
  async save(draft: Draft): Promise<void> {
    const { store, people, live, keep, siblings } = this.surroundings;
    const { record } = draft;
    siblings.enter(draft);
    if (record !== this.record) draft.batch.put("conversations", this.id, { ...record, heads: this.heads.kept() });
    const settlePeople = people.save(draft.batch);
    if (!draft.batch.empty) {
      await store.write(draft.batch.writes);
      keep();
    }
    settlePeople();
    this.#failures = 0;
    this.record = record;
    this.group = draft.group;
    wipe(draft.spent);
    draft.settle();
    siblings.settle(draft);
    live.timeline(this.id);
    for (const message of draft.arrived) live.message(this.id, messageView(message, this.sight));
  }

  /** A person may have more conversations than are looked at: a group is read when there is something to do. */
  async #load(): Promise<void> {
    if (this.#isStale) await this.#reload();
    if (this.#loaded) return;
    const { generation } = this.record;
    if (generation !== null) this.group = await this.read(generation);
    this.#loaded = true;
  }

  /** Nothing of memory counts any more, because a ratchet key must never be used twice. */
  async #reload(): Promise<void> {
    const { store } = this.surroundings;
    const before = this.outbox.all;
    const [kept, intents] = await Promise.all([
      store.get("conversations", this.id),
      store.scan("intents", { prefix: `${this.id}/` }),
    ]);
    this.record = kept === undefined ? this.#first : decodeRecord<ConversationRecord>(kept);
    this.group = null;
    this.heads = new Heads(this.record.heads);
    const restored = intents.map(({ value }) => decodeRecord<IntentRecord>(value));
    this.outbox.restore(restored, before);
    this.#loaded = false;
    this.#isStale = false;
  }

  #fail(): void {
    this.#isStale = true;
    this.#failures += 1;
    this.failed?.();
  }

  /** A generation of the group as it is stored; null when it is not. */
  async read(generation: number): Promise<Group | null> {
    const { id, surroundings } = this;
    const prefix = groupPrefix({ conversation: id, generation });
    const rows = await surroundings.store.scan("groups", { prefix });
    const records = rows.map(({ key, value }) => ({ key: key.slice(prefix.length), value }));
    return loadGroup(records, surroundings.context) ?? null;
  }

  /** From where its lines are looked at. */
  get sight(): Sight {
    const { context, time } = this.surroundings;
    return { me: context.me.member, delivered: this.record.delivered, time };
  }
}
