// A company of engines in this process, each on a store of its own, against one real server. Stores can be made to fail at a chosen write.

import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { openSqliteStore } from "../../client/cli/store-sqlite.ts";
import type { Clock } from "../../client/engine/clock.ts";
import { openMessenger } from "../../client/engine/messenger.ts";
import type { Store, Write } from "../../client/engine/store.ts";
import type { Engine, MessageView } from "../../client/engine/view.ts";
import type { ConversationId, MemberId } from "../../schemas/ids.ts";
import { type Circumstances, type EngineApart, openApart } from "./engine-apart.ts";
import { storeThrough } from "./store-through.ts";
import { type Tampering, tamperedSocket } from "./tampered-socket.ts";

const PATIENCE = 30_000;

/** How a profile is opened this time. */
export interface Opening {
  readonly tampering?: Tampering;
  /** No request and no socket gets through. */
  readonly offline?: boolean;
  /** Somebody in the middle of its requests. */
  readonly fetch?: typeof fetch;
  /** The server never gets this device's key packages. */
  readonly withoutStock?: boolean;
  readonly clock?: Clock;
  /** Every request waits for this first. */
  readonly beforeRequest?: (method: string, path: string) => Promise<void>;
  /** Every write waits for this first. */
  readonly beforeWrite?: (writes: readonly Write[]) => Promise<void>;
  /** The process "dies" at this write: neither it nor any later one happens. The first write is 0. */
  readonly diesAtWrite?: number;
}

/** How a profile is opened in a process of its own. `tampering` and `beforeWrite` are told, and change nothing. */
export type OpeningApart = Pick<Opening, "tampering" | "beforeWrite"> & Pick<Circumstances, "weather" | "seed">;

/** A person with a profile that can be opened again and again. */
export class Person {
  readonly name: string;
  readonly folder: string;
  readonly server: string;
  /** What the engine said must not happen. */
  readonly faults: string[] = [];
  /** Writes since it was opened, with what they wrote. */
  writes: (readonly Write[])[] = [];
  isDead = false;
  cut: () => void = () => undefined;
  /** The paths of the sockets it has open. */
  paths: () => string[] = () => [];
  #engine: Engine | null = null;
  #store: Store | null = null;
  #apart: EngineApart | null = null;

  constructor(name: string, { folder, server }: { folder: string; server: string }) {
    this.name = name;
    this.folder = folder;
    this.server = server;
  }

  get engine(): Engine {
    if (this.#engine === null) throw new Error(`${this.name} is closed`);
    return this.#engine;
  }

  get id(): MemberId {
    const id = this.engine.snapshot().account?.member.id;
    if (id === undefined) throw new Error(`${this.name} has no account`);
    return id;
  }

  /** The store as it is on disk; only while open in this process. */
  get store(): Store {
    if (this.#store === null) throw new Error(`${this.name} is closed`);
    return this.#store;
  }

  async open(opening: Opening = {}): Promise<Engine> {
    const { tampering = {}, offline = false, withoutStock = false, beforeRequest } = opening;
    const real = await openSqliteStore(this.folder);
    this.writes = [];
    this.isDead = false;
    const { WebSocket, cut, paths } = tamperedSocket(tampering);
    this.cut = cut;
    this.paths = paths;
    const nowhere = (): never => {
      throw new TypeError("offline");
    };
    const late: typeof fetch = async (input, init) => {
      await beforeRequest?.(init?.method ?? "GET", new URL(String(input)).pathname);
      return (withoutStock ? fetchWithoutStock : (opening.fetch ?? fetch))(input, init);
    };
    this.#store = real;
    this.#engine = await openMessenger({
      store: storeThrough(real, (writes) => this.#write(real, writes, opening)),
      server: this.server,
      kind: "terminal",
      ...(opening.clock && { clock: opening.clock }),
      WebSocket: offline ? (nowhere as unknown as typeof WebSocket) : WebSocket,
      log: (where, error) => this.faults.push(`${where}: ${String(error)}`),
      fetch: offline ? nowhere : late,
    });
    return this.#engine;
  }

  /** Opens it in a process of its own, which {@link kill} ends at any moment. */
  async openApart({ tampering = {}, beforeWrite, ...weather }: OpeningApart): Promise<Engine> {
    this.isDead = false;
    const { folder, server } = this;
    const apart = await openApart(
      { folder, server, ...weather },
      {
        tap: tampering,
        writes: (writes) => void beforeWrite?.(writes),
        fault: (fault) => this.faults.push(fault),
        died: () => {
          this.isDead = true;
        },
      },
    );
    this.#apart = apart;
    this.#engine = apart.engine;
    this.cut = () => apart.cut();
    this.paths = () => [];
    return apart.engine;
  }

  /** Kills the process with -9 that it is open in, if there is one. */
  async kill(): Promise<void> {
    await this.#apart?.kill();
  }

  async close(): Promise<void> {
    await (this.#apart ?? this.#engine)?.close();
    this.#apart = null;
    this.#engine = null;
    this.#store = null;
  }

  /** Closes and opens again. */
  async reopen(opening: Opening = {}): Promise<Engine> {
    await this.close();
    return this.open(opening);
  }

  /** A copy of the profile on disk; only while closed. */
  copy(): string {
    const copy = `${this.folder}.copy`;
    rmSync(copy, { recursive: true, force: true });
    cpSync(this.folder, copy, { recursive: true });
    return copy;
  }

  /** Puts a copy in place of the profile; only while closed. */
  putBack(copy: string): void {
    rmSync(this.folder, { recursive: true });
    cpSync(copy, this.folder, { recursive: true });
  }

  settled(): Promise<void> {
    return this.engine.settled(PATIENCE);
  }

  lines(conversation: ConversationId): Promise<readonly MessageView[]> {
    return this.engine.timeline(conversation, { limit: 10_000 });
  }

  /** The texts of a conversation, oldest first. */
  async texts(conversation: ConversationId): Promise<string[]> {
    return (await this.lines(conversation)).flatMap(({ body }) => (body.kind === "text" ? [body.text] : []));
  }

  /** Waits until the texts are these. */
  async shows(conversation: ConversationId, texts: readonly string[]): Promise<void> {
    await expect
      .poll(() => this.texts(conversation).catch(() => null), { timeout: PATIENCE, interval: 20 })
      .toEqual(texts);
  }

  /** What it knows of the key log is gone, as on a new device. */
  async forgetKeys(): Promise<void> {
    const rows = await this.store.scan("meta", { prefix: "keylog/" });
    await this.store.write(rows.map(({ key }) => ({ table: "meta", key, value: null })));
  }

  async #write(real: Store, writes: readonly Write[], { diesAtWrite, beforeWrite }: Opening): Promise<void> {
    await beforeWrite?.(writes);
    this.isDead ||= this.writes.length === diesAtWrite;
    if (this.isDead) throw new Error("the process is dead");
    this.writes.push(writes);
    await real.write(writes);
  }
}

/** People of one tenant. */
export class Company {
  readonly #folder = mkdtempSync(join(tmpdir(), "kuvert-company-"));
  readonly #server: string;
  readonly #people: Person[] = [];

  constructor(server: string) {
    this.#server = server;
  }

  /** Somebody with an empty profile. */
  person(name: string): Person {
    const person = new Person(name, { folder: join(this.#folder, name), server: this.#server });
    this.#people.push(person);
    return person;
  }

  /** Two people in one conversation who both know of each other. */
  async pair(): Promise<{ anna: Person; bert: Person; id: ConversationId }> {
    const [anna, bert] = (await this.found("Anna", "Bert")) as [Person, Person];
    const id = await anna.engine.create({ title: "Backstube", members: [bert.id] });
    await anna.settled();
    await bert.settled();
    return { anna, bert, id };
  }

  /** Anna, Bert and Carl in one conversation; Dora is a colleague who is not in it. */
  async team(): Promise<{ anna: Person; bert: Person; carl: Person; dora: Person; id: ConversationId }> {
    const people = (await this.found("Anna", "Bert", "Carl", "Dora")) as [Person, Person, Person, Person];
    const [anna, bert, carl, dora] = people;
    const id = await anna.engine.create({ title: "Backstube", members: [bert.id, carl.id] });
    for (const person of people) await person.settled();
    return { anna, bert, carl, dora, id };
  }

  /** Signs up the first and lets the others join; all are open and settled. */
  async found(...names: readonly string[]): Promise<Person[]> {
    const people = names.map((name) => this.person(name));
    const [first, ...others] = people;
    if (first === undefined) return [];
    await first.open();
    await first.engine.signUp({ organisation: "Bäckerei Lindner", name: first.name, deviceName: "Test" });
    const link = await first.engine.invite({ role: "member", uses: 100, expiresIn: 3_600_000 });
    for (const other of others) {
      await other.open();
      await other.engine.join({ link, name: other.name, deviceName: "Test" });
    }
    for (const person of people) await person.settled();
    return people;
  }

  /** Lets somebody in by an invite of `host`. */
  async join(host: Person, name: string): Promise<Person> {
    const person = this.person(name);
    const link = await host.engine.invite({ role: "member", uses: 1, expiresIn: 3_600_000 });
    await person.open();
    await person.engine.join({ link, name, deviceName: "Test" });
    await person.settled();
    return person;
  }

  /** A further device of somebody, linked over the engine's interface alone. */
  async link(person: Person, name: string, opening: Opening = {}): Promise<Person> {
    const other = this.person(name);
    await other.open(opening);
    const linking = (of: Person) => of.engine.snapshot().linking;
    await person.engine.offerLink();
    const shown = linking(person);
    const linked = other.engine.link({ code: shown?.kind === "shown" ? shown.code : "", deviceName: name });
    await expect.poll(() => linking(person)?.kind, { timeout: PATIENCE }).toBe("answered");
    await person.engine.confirmLink();
    await linked;
    return other;
  }

  async dispose(): Promise<void> {
    await Promise.all(this.#people.map((person) => person.close()));
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function fetchWithoutStock(...request: Parameters<typeof fetch>): Promise<Response> {
  if (new URL(String(request[0])).pathname === "/api/key-packages") return Promise.reject(new TypeError("cut off"));
  return fetch(...request);
}
