import { afterEach, expect, test } from "vitest";
import { loadGroup } from "../../client/engine/group/group.ts";
import { open } from "../../client/engine/group/open.ts";
import type { MessageView } from "../../client/engine/view.ts";
import type { ConversationId } from "../../schemas/ids.ts";
import { check, type Observation } from "../support/checker.ts";
import { Fleet, type Unit } from "../support/fleet.ts";
import { eachWithServer } from "../support/hooks.ts";
import { Random } from "../support/random.ts";
import type { RealServer } from "../support/real-server.ts";
import { digestOfText, wholeTimeline } from "../support/recorder.ts";
import type { Heard, Stay } from "../support/wire-tap.ts";

// `npm run chaos` turns this up
const STEPS = Number(process.env.KUVERT_CHAOS_STEPS ?? 60);
// Everybody who runs all tests runs the same steps
const SEED = Number(
  process.env.KUVERT_SEED ?? (process.env.KUVERT_CHAOS_STEPS === undefined ? 1 : Date.now() % 1_000_000),
);
const MINUTE = 60_000;
const LIMIT = 10 * MINUTE + STEPS * 2_000;

const MEMBERS = 6;
const DEVICES = 12;
const CONVERSATIONS = 4;
/** How many of the devices are processes of their own. */
const APART = 3;

let random: Random;
let server: RealServer;
let fleet: Fleet;
/** What happened, by kind. */
let tally: Record<string, number>;

eachWithServer((its) => {
  server = its;
  random = new Random(SEED);
  tally = {};
  // Frames are drawn for apart from steps: their number is not the same from run to run
  fleet = new Fleet(server.url, new Random(SEED + 1));
});
afterEach(() => fleet?.dispose());

interface Room {
  readonly id: ConversationId;
  readonly founder: Unit;
  /** Who is in it, as far as the plan goes, by number. */
  readonly members: Set<number>;
}

const isIn = (unit: Unit, id: ConversationId): boolean =>
  unit.person.engine.snapshot().conversations.some((one) => one.id === id && one.state === "active");

const apart = (): Unit[] => fleet.ready.filter((unit) => unit.apart);

function count(what: string): void {
  tally[what] = (tally[what] ?? 0) + 1;
}

/** Tries, and lets it fail: the world is not what the plan says all the time. */
async function attempt(what: string, act: () => Promise<unknown> | undefined): Promise<void> {
  try {
    await act();
    count(what);
  } catch {
    count(`no ${what}`);
  }
}

/** One thing that happens; the dice are thrown before anything is looked at. */
async function step(rooms: readonly Room[]): Promise<void> {
  const dice = random.next();
  const room = rooms[random.between(0, rooms.length - 1)] as Room;
  const [first, second, third] = [random.next(), random.next(), random.between(1, 60)];
  const unit = fleet.ready[Math.floor(first * fleet.ready.length)];
  if (unit === undefined) return;
  if (dice < 0.64) {
    const insiders = fleet.ready.filter((one) => room.members.has(one.owner) && isIn(one, room.id));
    const speaker = insiders[Math.floor(first * insiders.length)];
    if (speaker !== undefined) fleet.say(speaker, room.id);
    count("send");
  } else if (dice < 0.66) {
    const victim = apart()[Math.floor(second * apart().length)];
    if (victim !== undefined) await attempt("kill of a device", () => victim.person.kill());
  } else if (dice < 0.74) {
    unit.person.cut();
    count("cut");
  } else if (dice < 0.79) {
    await attempt("crash of a device", () => fleet.reopen(unit, third));
  } else if (dice < 0.82) {
    await attempt("restart of a device", () => fleet.reopen(unit));
  } else if (dice < 0.87) {
    const outside = Array.from({ length: MEMBERS }, (_, index) => index).filter((index) => !room.members.has(index));
    const newcomer = outside[Math.floor(second * outside.length)];
    const by = insider(room, first);
    if (newcomer === undefined || by === undefined) return;
    room.members.add(newcomer);
    void attempt("add", () => by.person.engine.add(room.id, [memberOf(newcomer)]));
  } else if (dice < 0.91) {
    const others = [...room.members].filter((index) => index !== room.founder.owner);
    const leaver = others[Math.floor(second * others.length)];
    const by = fleet.of(room.founder.owner).find((one) => isIn(one, room.id));
    if (leaver === undefined || by === undefined || others.length < 2) return;
    room.members.delete(leaver);
    void attempt("remove", () => by.person.engine.remove(room.id, memberOf(leaver)));
  } else if (dice < 0.93) {
    const by = insider(room, first);
    if (by !== undefined) void attempt("rename", () => by.person.engine.rename(room.id, `Titel ${third}`));
  } else if (dice < 0.96) {
    if (fleet.units.filter(({ revoked }) => !revoked).length < DEVICES) {
      await attempt("link", async () => {
        const linked = await fleet.link(unit);
        if (linked === undefined) throw new Error("not linked");
        if (apart().length < APART) await fleet.part(linked);
      });
    } else await revoke(unit, second);
  } else if (dice < 0.975) await revoke(unit, second);
  else if (dice < 0.985) {
    await attempt("kill of the server", () => server.crash());
  } else await new Promise((passed) => setTimeout(passed, third * 10));
}

function insider(room: Room, chance: number): Unit | undefined {
  const insiders = fleet.ready.filter((one) => room.members.has(one.owner) && isIn(one, room.id));
  return insiders[Math.floor(chance * insiders.length)];
}

async function revoke(unit: Unit, chance: number): Promise<void> {
  const siblings = fleet.of(unit.owner).filter((one) => one !== unit && !one.person.isDead);
  const by = siblings[Math.floor(chance * siblings.length)];
  // The founder's first device is where the log's public history begins
  if (by !== undefined) await attempt("revoke", () => fleet.revoke(unit, by));
}

function memberOf(owner: number) {
  const unit = fleet.units.find((one) => one.owner === owner);
  if (unit === undefined) throw new Error("nobody");
  return unit.member;
}

async function founded(founder: Unit, owners: readonly number[], title: string): Promise<Room> {
  const members = owners.filter((owner) => owner !== founder.owner).map(memberOf);
  const id = await founder.person.engine.create({ title, members });
  return { id, founder, members: new Set([founder.owner, ...owners]) };
}

/** What one device has of one conversation at the end. */
interface Ending {
  readonly unit: Unit;
  readonly lines: readonly MessageView[];
  readonly stays: readonly Stay[];
}

/** The history of a conversation as the checker wants it: everything that was said, then device by device what it has of its stays. */
function historyOf(room: Room, endings: readonly Ending[]): Observation[] {
  const history: Observation[] = [];
  const logged = new Map(fleet.tap.heard(room.id).map(({ id, seq }) => [id, seq]));
  const said = fleet.said.flatMap((one) =>
    one.conversation === room.id && one.mid !== null ? [{ ...one, mid: one.mid }] : [],
  );
  for (const { unit, text, mid } of said) {
    history.push({ type: "invoke", device: unit.name, mid, digest: digestOfText(text) });
  }
  for (const { unit, mid } of said) {
    const device = unit.name;
    const seq = logged.get(mid);
    const line = endings.find((one) => one.unit === unit)?.lines.find(({ key }) => key === mid);
    if (seq !== undefined) history.push({ type: "ok", device, mid, seq });
    // Whoever is out says so of everything that could not leave
    else if (line?.state === "failed" || unit.revoked)
      history.push({ type: "fail", device, mid, code: line?.refusal ?? "device_revoked" });
  }
  for (const { unit, lines, stays } of endings) {
    for (const { from, to } of stays) {
      history.push({ type: "joined", device: unit.name, seq: from });
      for (const { seq, key, body } of lines) {
        if (seq === null || seq <= from || (to !== null && seq > to) || body.kind !== "text") continue;
        history.push({ type: "recv", device: unit.name, seq, mid: key, digest: digestOfText(body.text) });
      }
      if (to !== null) history.push({ type: "removed", device: unit.name, seq: to });
    }
  }
  return history;
}

/** Texts a device has from times it was not in itself: only what a device of the same member handed over. */
function handedOver({ unit, lines, stays }: Ending, all: readonly Stay[]): string[] {
  const within = (seq: number) => (stay: Stay) => seq > stay.from && (stay.to === null || seq <= stay.to);
  return lines.flatMap(({ seq, body }) => {
    if (seq === null || body.kind !== "text" || stays.some(within(seq))) return [];
    const isSiblings = all.some((stay) => stay.member === unit.member && within(seq)(stay));
    return isSiblings ? [] : [`${unit.name} has ${seq}, which was not for its member`];
  });
}

/** What a device can still open of what came after it was out, with all that its store holds. */
async function readAfterwards(unit: Unit, room: Room, later: readonly Heard[]): Promise<string[]> {
  const prefix = `${room.id}/0/`;
  const rows = await unit.person.store.scan("groups", { prefix });
  const records = rows.map(({ key, value }) => ({ key: key.slice(prefix.length), value }));
  const account = unit.person.engine.snapshot().account;
  if (account === null || rows.length === 0) return [];
  const me = { tenant: account.tenant.id, member: unit.member, device: unit.device } as never;
  const found: string[] = [];
  const fresh = () => loadGroup(records, { me, trust: () => true, mayChange: () => true });
  let group = fresh();
  for (const { seq, bytes, acceptedAt } of later) {
    for (const from of [group, fresh()]) {
      if (from === undefined) continue;
      const opened = await open(from, bytes, { acceptedAt });
      if (opened.outcome.kind === "message") found.push(`${unit.name} can read ${seq} of ${room.id}`);
      if (from === group) group = opened.group;
    }
  }
  return found;
}

test(`T21: ${STEPS} steps of chaos: nothing lost, repeated, unreadable or read by those who are out (seed ${SEED})`, {
  timeout: LIMIT,
}, async () => {
  await fleet.found(MEMBERS);
  const everybody = Array.from({ length: MEMBERS }, (_, index) => index);
  const rooms: Room[] = [];
  for (let index = 0; index < CONVERSATIONS; index++) {
    const founder = fleet.of(index)[0] as Unit;
    const owners = index === 0 ? everybody : everybody.filter((owner) => (owner + index) % 2 === 0);
    rooms.push(await founded(founder, owners, `Raum ${index}`));
  }
  await fleet.settled(MINUTE);
  for (let index = fleet.units.length; index < DEVICES; index++) {
    expect(await fleet.link(fleet.of(index % MEMBERS)[0] as Unit)).toBeDefined();
  }
  await fleet.settled(MINUTE);

  Object.assign(fleet.weather, { drop: 0.004, repeat: 0.03 });
  for (const unit of fleet.units.slice(-APART)) await fleet.part(unit);
  const begun = performance.now();
  for (let at = 0; at < STEPS; at++) {
    await step(rooms);
    for (const unit of fleet.ready) if (unit.person.isDead) await fleet.reopen(unit);
    await new Promise((passed) => setTimeout(passed, random.between(0, 40)));
  }
  await fleet.calm(MINUTE);
  const seconds = (performance.now() - begun) / 1_000;

  const problems: string[] = [...fleet.tap.contradictions];
  for (const room of rooms) {
    const all = fleet.tap.stays(room.id, room.founder);
    const endings: Ending[] = [];
    for (const unit of fleet.units) {
      const stays = all.filter(({ device }) => device === unit.device);
      const knows = unit.person.engine.snapshot().conversations.some(({ id }) => id === room.id);
      const lines = knows ? await wholeTimeline(unit.person.engine, room.id) : [];
      if (!knows && stays.at(-1)?.to === null) problems.push(`${unit.name} does not know ${room.id}`);
      endings.push({ unit, lines, stays });
    }
    const texts = new Set(
      endings.flatMap(({ lines }) => lines.flatMap(({ key, body }) => (body.kind === "text" ? key : []))),
    );
    for (const { conversation, mid } of fleet.said) if (conversation === room.id && mid !== null) texts.add(mid);
    const log = fleet.tap.log(room.id, (mid) => texts.has(mid));
    problems.push(...check(historyOf(room, endings), log).map(({ kind, what }) => `${kind}: ${what}`));
    for (const ending of endings) {
      const { unit, lines, stays } = ending;
      problems.push(...handedOver(ending, all));
      const unreadable = lines.filter(({ body }) => body.kind === "unreadable");
      problems.push(...unreadable.map(({ seq }) => `${unit.name} cannot read ${seq} of ${room.id}`));
      const last = stays.at(-1);
      const view = unit.person.engine.snapshot().conversations.find(({ id }) => id === room.id);
      const isHere = last?.to === null && !unit.revoked;
      if (isHere && view?.state !== "active") problems.push(`${unit.name} is in ${room.id}, which is ${view?.state}`);
      if (!isHere && !unit.revoked && view !== undefined && view.state !== "ended")
        problems.push(`${unit.name} is out of ${room.id}, which is ${view.state}`);
      if (isHere) {
        const roster = new Set(all.filter(({ to }) => to === null).map(({ member }) => member));
        const members = new Set(view?.members);
        if (roster.size !== members.size || [...roster].some((member) => !members.has(member)))
          problems.push(`${unit.name} sees other members of ${room.id}`);
      }
      if (last?.to != null) {
        const later = fleet.tap.heard(room.id).filter(({ seq }) => seq > (last.to ?? 0));
        problems.push(...(await readAfterwards(unit, room, later)));
      }
    }
  }
  const accepted = rooms.flatMap(({ id }) => fleet.tap.accepted(id));
  const { faults, keys } = await fleet.nonces.judge([...fleet.tap.left, ...accepted]);
  problems.push(...faults);
  const heard = rooms.reduce((sum, { id }) => sum + fleet.tap.heard(id).length, 0);
  console.log(
    `chaos: seed ${SEED}, ${STEPS} steps in ${seconds.toFixed(1)} s: ${heard} envelopes, ${keys} keys, each for one ciphertext; ${JSON.stringify(tally)}`,
  );
  expect(problems).toEqual([]);
});
