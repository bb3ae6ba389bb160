// Owns what is known of the tenant's members: the directory as last fetched, and the identity key the key log has for each.

import { fromBase64url } from "../../schemas/bytes.ts";
import type { MemberId } from "../../schemas/ids.ts";
import type { Api } from "./api.ts";
import { isPerson } from "./comparisons.ts";
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
  /** The keys the directory named last. */
  #named = new Map<MemberId, Uint8Array>();
  /** Members of whom the directory names a key that the key log never had. */
  #contradicted = new Set<MemberId>();
  #fetching: Promise<void> | null = null;

  constructor({ store, live, people }: { store: Store; live: Live; people: Iterable<PersonRecord> }) {
    this.#store = store;
    this.#live = live;
    this.#people = new Map([...people].map((person) => [person.id, person]));
  }

  /** Opens it with everybody who was known last. */
  static async load(store: Store, live: Live): Promise<People> {
    const entries = (await store.scan("people")).filter(({ key }) => isPerson(key));
    return new People({ store, live, people: entries.map(({ value }) => decodeRecord<PersonRecord>(value)) });
  }

  /** Takes the identity key that the key log has for a member. */
  pin(member: MemberId, identityKey: Uint8Array): void {
    const { name, role, removed } = this.#people.get(member) ?? { name: "", role: "member", removed: false };
    this.#people.set(member, { id: member, name, role, removed, identityKey: identityKey.slice() });
    this.#unsaved.add(member);
  }

  /** Adds keys that are not durable yet to a write that is about to happen; what it returns is to be called once it has. */
  save(batch: Batch): () => void {
    const saved = [...this.#unsaved].flatMap((member) => this.#people.get(member) ?? []);
    for (const person of saved) batch.put("people", person.id, person);
    return () => {
      for (const person of saved) if (this.#people.get(person.id) === person) this.#unsaved.delete(person.id);
    };
  }

  /** Whether the directory has named this member. */
  knows(member: MemberId): boolean {
    return (this.#people.get(member)?.name ?? "") !== "";
  }

  /** The identity key of a member; null when none has been seen. */
  key(member: MemberId): Uint8Array | null {
    return this.#people.get(member)?.identityKey ?? null;
  }

  /** The keys the directory named last. */
  get named(): ReadonlyMap<MemberId, Uint8Array> {
    return this.#named;
  }

  /** The directory has named wrong keys for exactly these members. */
  contradict(members: Iterable<MemberId>): void {
    this.#contradicted = new Set(members);
  }

  isContradicted(member: MemberId): boolean {
    return this.#contradicted.has(member);
  }

  /** Everybody, by name. */
  views(): Omit<MemberView, "key">[] {
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
    const keys = new Map<MemberId, Uint8Array>();
    for (const { id, name, role, identityKey, removedAt } of await api.members()) {
      keys.set(id, fromBase64url(identityKey) ?? new Uint8Array());
      const known = this.#people.get(id)?.identityKey ?? null;
      const person: PersonRecord = { id, name, role, identityKey: known, removed: removedAt !== null };
      this.#people.set(id, person);
      batch.put("people", id, person);
    }
    const settle = this.save(batch);
    await this.#store.write(batch.writes);
    settle();
    this.#named = keys;
    this.#live.changed();
  }
}
