// Owns what is known of the tenant's members: the directory as last fetched, and the identity key each was first seen with.

import { equalBytes, fromBase64url } from "../../schemas/bytes.ts";
import type { MemberId } from "../../schemas/ids.ts";
import type { Api } from "./api.ts";
import type { Live } from "./live.ts";
import { Batch, decodeRecord, type PersonRecord } from "./records.ts";
import type { Store } from "./store.ts";
import type { MemberView } from "./view.ts";

/** The members of the tenant, in memory and in the store. */
export class People {
  readonly #store: Store;
  readonly #live: Live;
  readonly #people: Map<MemberId, PersonRecord>;
  readonly #unsaved = new Set<MemberId>();
  /** Members of whom the directory names another key than the pinned one. */
  #contradicted = new Set<MemberId>();
  #fetching: Promise<void> | null = null;

  constructor({ store, live, people }: { store: Store; live: Live; people: Iterable<PersonRecord> }) {
    this.#store = store;
    this.#live = live;
    this.#people = new Map([...people].map((person) => [person.id, person]));
  }

  /** Opens it with everybody who was known last. */
  static async load(store: Store, live: Live): Promise<People> {
    const entries = await store.scan("people");
    return new People({ store, live, people: entries.map(({ value }) => decodeRecord<PersonRecord>(value)) });
  }

  /**
   * Whether an identity key is the one pinned for a member. The first key ever seen is the pinned one, whoever names it: a conversation
   * or the directory; a later, different one is never believed.
   */
  trust(member: MemberId, identityKey: Uint8Array): boolean {
    const person = this.#people.get(member);
    if (person?.identityKey != null) return equalBytes(person.identityKey, identityKey);
    const { name, role, removed } = person ?? { name: "", role: "member", removed: false };
    this.#people.set(member, { id: member, name, role, removed, identityKey: identityKey.slice() });
    this.#unsaved.add(member);
    return true;
  }

  /** Adds pins made since the last call to a write that is about to happen. */
  save(batch: Batch): void {
    for (const member of this.#unsaved) {
      const person = this.#people.get(member);
      if (person !== undefined) batch.put("people", member, person);
    }
    this.#unsaved.clear();
  }

  /** Whether the directory has named this member. */
  knows(member: MemberId): boolean {
    return (this.#people.get(member)?.name ?? "") !== "";
  }

  /** The identity key pinned for a member; null when none has been seen. */
  key(member: MemberId): Uint8Array | null {
    return this.#people.get(member)?.identityKey ?? null;
  }

  /** Every pinned key. */
  keys(): [MemberId, Uint8Array][] {
    return [...this.#people].flatMap(([id, { identityKey }]) => (identityKey === null ? [] : [[id, identityKey]]));
  }

  isContradicted(member: MemberId): boolean {
    return this.#contradicted.has(member);
  }

  /** Everybody, by name. */
  views(): MemberView[] {
    return [...this.#people.values()]
      .filter(({ name }) => name !== "")
      .map(({ id, name, role, removed }) => ({ id, name, role, removed }))
      .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.id < b.id ? -1 : 1));
  }

  /** Fetches the directory; callers at the same time share one request. @throws {Refusal} as {@link Api.members} */
  refresh(api: Pick<Api, "members">): Promise<void> {
    this.#fetching ??= this.#fetch(api).finally(() => {
      this.#fetching = null;
    });
    return this.#fetching;
  }

  async #fetch(api: Pick<Api, "members">): Promise<void> {
    const batch = new Batch();
    const contradicted = new Set<MemberId>();
    for (const { id, name, role, identityKey, removedAt } of await api.members()) {
      const named = fromBase64url(identityKey) ?? null;
      const pinned = this.#people.get(id)?.identityKey ?? named;
      if (named !== null && pinned !== null && !equalBytes(named, pinned)) contradicted.add(id);
      const person: PersonRecord = { id, name, role, identityKey: pinned, removed: removedAt !== null };
      this.#people.set(id, person);
      batch.put("people", id, person);
    }
    this.save(batch);
    await this.#store.write(batch.writes);
    this.#contradicted = contradicted;
    this.#live.changed();
  }
}
