// Owns many devices of a few members in a few conversations while everything goes wrong around them: which there are, how each is
// opened, killed, linked and revoked, and what each has said. What to do next is for the test.

import { expect } from "vitest";
import { type ConversationRecord, decodeRecord, type IntentRecord } from "../../client/engine/records.ts";
import type { Write } from "../../client/engine/store.ts";
import type { LinkingView } from "../../client/engine/view.ts";
import type { ConversationId, DeviceId, MemberId } from "../../schemas/ids.ts";
import { Company, type Person } from "./company.ts";
import { Nonces } from "./nonces.ts";
import type { Random } from "./random.ts";
import { stormy, type Weather } from "./weather.ts";
import { WireTap } from "./wire-tap.ts";

const PATIENCE = { timeout: 30_000, interval: 20 };

/** One device with what it said. */
export interface Unit {
  readonly name: string;
  /** Which member it belongs to, counted from 0. */
  readonly owner: number;
  readonly person: Person;
  readonly member: MemberId;
  readonly device: DeviceId;
  revoked: boolean;
  /** In a process of its own. */
  apart: boolean;
  /** Being opened, closed, linked or revoked: leave it alone. */
  busy: boolean;
}

/** A text that a device was asked to send, in the order of asking. `mid` is null when it died before saying that it has the text. */
export interface Said {
  readonly unit: Unit;
  readonly conversation: ConversationId;
  readonly text: string;
  mid: string | null;
}

/** The devices of one company under way. */
export class Fleet {
  readonly tap = new WireTap();
  readonly nonces = new Nonces();
  readonly units: Unit[] = [];
  readonly said: Said[] = [];
  readonly weather: Weather = { drop: 0, repeat: 0 };
  readonly #company: Company;
  readonly #random: Random;
  #named = 0;

  constructor(server: string, random: Random) {
    this.#company = new Company(server);
    this.#random = random;
  }

  /** So many members with one device each, all online. */
  async found(members: number): Promise<void> {
    const names = Array.from({ length: members }, (_, index) => `m${index}`);
    const people = await this.#company.found(...names);
    for (const [owner, person] of people.entries()) {
      await this.#open(person);
      this.#board(owner, person);
    }
  }

  /** Devices that are in use and that nobody is busy with. */
  get ready(): Unit[] {
    return this.units.filter(({ revoked, busy }) => !revoked && !busy);
  }

  of(owner: number): Unit[] {
    return this.ready.filter((unit) => unit.owner === owner);
  }

  /** Lets a device say something; whatever comes of it. */
  say(unit: Unit, conversation: ConversationId): void {
    const text = `${unit.name} ${this.said.length}`;
    const said: Said = { unit, conversation, text, mid: null };
    const sending = unit.person.engine.send(conversation, text);
    this.said.push(said);
    sending.then(
      (mid) => {
        said.mid = mid;
      },
      () => undefined,
    );
  }

  /** Closes a device and opens it again; with `diesAtWrite` it will be dead some writes later, unless it is in a process of its own. */
  async reopen(unit: Unit, diesAtWrite?: number): Promise<void> {
    unit.busy = true;
    await unit.person.close();
    if (unit.apart) await this.#openApart(unit.person);
    else await this.#open(unit.person, diesAtWrite);
    unit.busy = false;
  }

  /** From now on this device is in a process of its own, out in the weather as it is now. */
  async part(unit: Unit): Promise<void> {
    unit.apart = true;
    await this.reopen(unit);
  }

  /** Brings a further device of the unit's member in by a code; `undefined` when that failed, as it may in bad weather. */
  async link(giver: Unit): Promise<Unit | undefined> {
    giver.busy = true;
    const person = this.#company.person(`u${this.#named++}`);
    try {
      await this.#open(person);
      await giver.person.engine.offerLink();
      const { code } = await shown(giver.person, "shown");
      const linked = person.engine.link({ code, deviceName: person.name });
      linked.catch(() => undefined);
      await shown(giver.person, "answered");
      await shown(person, "entered");
      await giver.person.engine.confirmLink();
      await linked;
      return this.#board(giver.owner, person);
    } catch {
      await person.close();
      return undefined;
    } finally {
      giver.busy = false;
    }
  }

  /** Shuts a device out for ever, by another one of its member; a process that is of no more use comes home. */
  async revoke(unit: Unit, by: Unit): Promise<void> {
    unit.revoked = true;
    await by.person.engine.revokeDevice(unit.device).catch(() => {
      unit.revoked = false;
    });
    if (unit.revoked && unit.apart) await this.#bringHome(unit);
  }

  /** Everything that is down comes up in this process, nothing is tampered with any more, and all are caught up with everything. */
  async calm(timeout: number): Promise<void> {
    Object.assign(this.weather, { drop: 0, repeat: 0 });
    for (const unit of this.units) if (!unit.revoked) await this.#bringHome(unit);
    await this.settled(timeout);
  }

  /** @throws what every device that is not caught up after `timeout` ms still has to do */
  async settled(timeout: number): Promise<void> {
    const unsettled = await Promise.all(
      this.units.flatMap((unit) =>
        unit.revoked
          ? []
          : unit.person.engine.settled(timeout).then(
              () => [],
              () => describe(unit),
            ),
      ),
    );
    if (unsettled.flat().length > 0) throw new Error(unsettled.flat().join("\n"));
  }

  dispose(): Promise<void> {
    return this.#company.dispose();
  }

  async #bringHome(unit: Unit): Promise<void> {
    unit.apart = false;
    await this.reopen(unit);
  }

  #board(owner: number, person: Person): Unit {
    const account = person.engine.snapshot().account;
    if (account === null) throw new Error(`${person.name} has no account`);
    const count = this.units.filter((unit) => unit.owner === owner).length;
    const name = `${"abcdef"[owner]}${count + 1}`;
    const { member, device } = account;
    const unit: Unit = { name, owner, person, member: member.id, device, revoked: false, apart: false, busy: false };
    this.units.push(unit);
    return unit;
  }

  async #open(person: Person, diesAtWrite?: number): Promise<void> {
    await person.reopen({
      tampering: this.tap.tampering(stormy(this.weather, this.#random)),
      beforeWrite: this.#note,
      ...(diesAtWrite !== undefined && { diesAtWrite }),
    });
  }

  async #openApart(person: Person): Promise<void> {
    await person.openApart({
      tampering: this.tap.tampering(),
      beforeWrite: this.#note,
      weather: this.weather,
      seed: this.#random.between(0, 2 ** 31),
    });
  }

  readonly #note = async (writes: readonly Write[]): Promise<void> => this.nonces.note(writes);
}

async function shown<Kind extends LinkingView["kind"]>(person: Person, kind: Kind) {
  await expect.poll(() => person.engine.snapshot().linking?.kind, PATIENCE).toBe(kind);
  return person.engine.snapshot().linking as Extract<LinkingView, { kind: Kind }>;
}

/** What a device that does not settle has and waits for. */
async function describe({ name, person }: Unit): Promise<string[]> {
  const [records, intents] = await Promise.all([person.store.scan("conversations"), person.store.scan("intents")]);
  const { phase, code, connection } = person.engine.snapshot();
  return [
    `${name}: ${phase} ${code} ${connection}, dead ${person.isDead}, open ${person.paths().join(" ")}, faults ${person.faults.join("; ")}`,
    ...records.map(({ value }) => {
      const { id, state, cursor, known, lost, generation } = decodeRecord<ConversationRecord>(value);
      return `  ${JSON.stringify({ id, state, cursor, known, lost, generation })}`;
    }),
    ...intents.map(({ value }) => {
      const { conversation, order, wish, sealed, refusal } = decodeRecord<IntentRecord>(value);
      const epoch = sealed?.epoch ?? null;
      return `  ${JSON.stringify({ conversation, order, wish, epoch, commit: sealed?.commit != null, refusal })}`;
    }),
  ];
}
